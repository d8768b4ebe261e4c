"""Imports that every job needs, done once in the forkserver."""

from trainer.core.lazy_imports import lazy_imports

with lazy_imports():
    import torch.utils.tensorboard  # noqa: F401

    import trainer.sweeps.executors.worker
    import trainer.training.run  # noqa: F401
    from trainer.config.compose import Composer

Composer().compose([])  # loads the grammar of Hydra's parsers: a job then composes its config a sixth faster
