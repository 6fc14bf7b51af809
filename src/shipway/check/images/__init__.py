"""Images of anybody: what is in their layers, their config and their history."""
