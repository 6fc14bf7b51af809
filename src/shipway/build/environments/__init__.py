"""What a project depends on -> virtual environments, and servers on Node, as they lie in the image."""
