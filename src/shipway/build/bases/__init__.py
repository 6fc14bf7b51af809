"""What images stand on: Debian's packages, an image of a registry, an OCI layout on disk."""
