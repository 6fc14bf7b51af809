"""From agent code to a production container, then to production, and back when it is worse."""

__version__ = "0.1.0"
