"""Training, sweeps and comparison of networks with Hydra configs, Lightning modules and TensorBoard.

    import trainer

    config = trainer.configure("data=digits", "model=cnn")  # compose a config
    run = trainer.train(config)                             # train and test
    sweep = trainer.sweep("data=digits", "model=mlp,cnn")   # train with all combinations
    model = trainer.load(run.directory)                     # load the network for predictions
    trainer.report(sweep.directory)                         # write an HTML report

The names below are imported when they are first used, so that `import trainer` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trainer.core.lightning_alias import install_lightning_alias

if TYPE_CHECKING:
    from trainer.api.files import load as load
    from trainer.api.files import report as report
    from trainer.api.run import Run as Run
    from trainer.api.sweep import Sweep as Sweep
    from trainer.api.sweep import sweep as sweep
    from trainer.api.train import configure as configure
    from trainer.api.train import test as test
    from trainer.api.train import train as train
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
    **dict.fromkeys(("configure", "test", "train"), "trainer.api.train"),
    **dict.fromkeys(("Sweep", "sweep"), "trainer.api.sweep"),
    **dict.fromkeys(("load", "report"), "trainer.api.files"),
    "Callback": "trainer.core.callback",
    "DataSpec": "trainer.core.spec",
    "Objective": "trainer.task.objective",
    "Run": "trainer.api.run",
    "Split": "trainer.data.loading.split",
    "Supervised": "trainer.task.supervised",
    "TensorData": "trainer.data.base",
    "UserError": "trainer.core.errors",
}
__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    """Return a public name from the module that defines it."""
    if name not in _MODULES:
        raise AttributeError(f"module 'trainer' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, for completion and `help`."""
    return [*__all__, "__version__"]
