"""Callbacks that Lightning does not have."""
