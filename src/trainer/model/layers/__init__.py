"""Layers and building blocks that the networks share."""
