"""ImagePlan -> OCI image, without Docker."""
