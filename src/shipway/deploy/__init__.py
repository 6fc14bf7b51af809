"""A release -> one machine with Docker: what is to run there, and everything that it needs to run."""
