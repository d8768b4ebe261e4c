"""Foundations that depend on no other package of this project."""
