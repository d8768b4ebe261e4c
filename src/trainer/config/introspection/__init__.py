"""Static introspection of config files and targets; no code that a config names is imported."""
