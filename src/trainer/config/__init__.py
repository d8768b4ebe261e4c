"""Composed configs: schema, composition, diagnostics and the origin of values."""
