"""Requests and answers: who asks, what is read of it, and what is said."""
