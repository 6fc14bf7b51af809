"""Manifests that anybody wrote, for Kubernetes, Compose and ECS: what runs by them."""
