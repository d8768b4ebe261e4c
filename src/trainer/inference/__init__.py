"""Trained networks: loading, prediction and export."""
