"""Callbacks in addition to those of Lightning."""
