"""Training, sweeps and comparison of networks with Hydra configs, Lightning modules and TensorBoard.

The names below are imported when they are first used, so that `import trainer` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trainer.core.lightning_alias import install_lightning_alias

if TYPE_CHECKING:
    from trainer.api import configure as configure
    from trainer.api import load as load
    from trainer.api import test as test
    from trainer.api import train as train
    from trainer.core.callback import Callback as Callback
    from trainer.core.errors import UserError as UserError
    from trainer.core.spec import DataSpec as DataSpec
    from trainer.data.base import TensorData as TensorData
    from trainer.data.loading.split import Split as Split
    from trainer.task.objective import Objective as Objective
    from trainer.task.supervised import Supervised as Supervised

__version__ = "0.1.0"

install_lightning_alias()

_MODULES = {
    **dict.fromkeys(("configure", "load", "test", "train"), "trainer.api"),
    "Callback": "trainer.core.callback",
    "DataSpec": "trainer.core.spec",
    "Objective": "trainer.task.objective",
    "Split": "trainer.data.loading.split",
    "Supervised": "trainer.task.supervised",
    "TensorData": "trainer.data.base",
    "UserError": "trainer.core.errors",
}


def __getattr__(name: str) -> Any:
    """Return a public name from the module that defines it."""
    if name not in _MODULES:
        raise AttributeError(f"module 'trainer' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
