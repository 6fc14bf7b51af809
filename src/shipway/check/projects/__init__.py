"""A project with an agent.toml: what would be wrong with its images. Nothing is built."""
