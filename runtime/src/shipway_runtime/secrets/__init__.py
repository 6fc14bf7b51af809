"""Secrets: where their values come from at run time, and how they are kept out of everything else."""
