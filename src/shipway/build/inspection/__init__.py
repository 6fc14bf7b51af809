"""What is in an image, of whatever origin."""
