"""How agents of each framework run: one file a framework, detected by duck-typing."""
