"""Spaces, samplers, pruning and Pareto fronts of a hyperparameter search."""
