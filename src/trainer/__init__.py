"""Train, sweep and compare networks: Hydra configs, Lightning modules, TensorBoard."""

__version__ = "0.1.0"
