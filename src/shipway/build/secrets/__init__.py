"""Texts that would go into an image -> findings for the secrets in them."""
