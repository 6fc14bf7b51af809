"""Health: whether the process lives, and whether it may get traffic."""
