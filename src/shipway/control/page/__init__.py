"""The page: HTML, CSS and JavaScript as they are here, which know nothing but control's JSON."""
