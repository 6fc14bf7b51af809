"""Conversations: what was said before, kept in SQLite on the agent's volume or in PostgreSQL."""
