"""Plots and images that callbacks log."""
