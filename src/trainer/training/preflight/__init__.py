"""Preflight: is this config right? Asked of one run, and of every job of a sweep, before any data are opened."""
