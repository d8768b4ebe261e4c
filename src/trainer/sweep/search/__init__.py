"""Hyperparameter search: spaces, samplers, pruning and Pareto fronts."""
