"""Schema, composition, diagnostics and value sources of configs."""
