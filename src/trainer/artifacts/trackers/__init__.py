"""Loggers of experiment trackers: Weights & Biases, MLflow and Comet."""
