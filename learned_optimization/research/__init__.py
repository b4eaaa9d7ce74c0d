"""Published research code, under its published names."""
