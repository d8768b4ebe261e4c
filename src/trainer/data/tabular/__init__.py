"""Inspection of the columns of users' tables, and their encoding as numbers."""
