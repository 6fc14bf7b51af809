"""A revision on its way to its users, and back when it is worse: the machine, its controller, the traffic."""
