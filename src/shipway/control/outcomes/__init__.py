"""Outcomes on their way in: read, queued, kept, summed up."""
