"""Warm: what every job needs, imported once; the processes of jobs are forked from one that has imported this."""

from trainer.core.lazy_imports import late_imports

with late_imports():
    import torch.utils.tensorboard  # noqa: F401

    import trainer.training.run  # noqa: F401
    from trainer.config.compose import Composer

Composer().compose([])  # then Hydra's parsers know the grammar: a job composes its config a sixth sooner
