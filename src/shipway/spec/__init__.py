"""agent.toml -> Spec; the sources -> Project; locks -> Lock."""
