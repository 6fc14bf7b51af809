"""Evals: suites of questions, asked of an agent that runs, and what its answers are worth."""
