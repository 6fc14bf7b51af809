"""StackPlan -> processes or containers on this machine."""
