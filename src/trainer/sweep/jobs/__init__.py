"""Jobs of a sweep: expansion, identity and registration."""
