"""Checks of a config before any data is opened, for a run and for every job of a sweep."""
