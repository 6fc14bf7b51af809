"""The OCI distribution protocol: images and blobs to and from a registry."""
