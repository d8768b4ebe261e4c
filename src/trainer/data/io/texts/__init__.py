"""Reading of texts with classes."""
