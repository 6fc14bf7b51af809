"""The admin port: what operators and probes see of a process, and change."""
