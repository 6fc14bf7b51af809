"""The API port: what users of the agent talk to."""
