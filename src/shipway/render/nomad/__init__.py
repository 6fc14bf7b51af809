"""StackPlan -> jobs of Nomad: groups of tasks of the docker driver that share a network."""
