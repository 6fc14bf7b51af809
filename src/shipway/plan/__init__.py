"""(Spec, Project, Lock) -> frozen, serialisable plans, by pure functions."""
