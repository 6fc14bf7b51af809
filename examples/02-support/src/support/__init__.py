"""A support agent that can tell the time and read the product's repository."""
