"""Debian's signed packages: where they are, which are needed, and how they are unpacked."""
