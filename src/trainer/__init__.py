"""Train, sweep and compare networks: Hydra configs, Lightning modules, TensorBoard."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.api import configure as configure
    from trainer.api import load as load
    from trainer.api import test as test
    from trainer.api import train as train

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The Python API (`trainer.api`), imported when it is first used: the command and its completion need not wait."""
    if name in ("configure", "load", "test", "train"):
        from trainer import api

        return getattr(api, name)
    raise AttributeError(f"module 'trainer' has no attribute '{name}'")
