"""Expansion, identity and registration of the jobs of a sweep."""
