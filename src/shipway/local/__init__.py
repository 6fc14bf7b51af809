"""StackPlan -> processes on this machine."""
