"""Gates: what judges a canary, put together from rows; and what engines are told of it."""
