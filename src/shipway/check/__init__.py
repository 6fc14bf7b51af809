"""Rules -> findings, one file a family; rules.py has them in one ordered list."""
