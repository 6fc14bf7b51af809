"""Documents that are attached to an image: bill of materials and provenance."""
