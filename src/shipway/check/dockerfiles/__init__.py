"""Dockerfiles of anybody, and scripts that they start: what they would make of an agent."""
