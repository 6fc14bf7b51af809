"""Where control keeps what it knows: one SQLite file, or PostgreSQL."""
