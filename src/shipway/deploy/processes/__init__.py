"""A deployment without a container engine: revisions and their router as processes of this machine."""
