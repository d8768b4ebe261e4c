"""Base class of callbacks, and the guard of those that only display something."""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning
from pytorch_lightning.utilities.seed import isolate_rng
from torch import distributed, nn

from trainer.core.disk_space import is_disk_full
from trainer.core.errors import UserError, display_path, first_line, is_out_of_memory

HOOKS = [name for name in vars(pytorch_lightning.Callback) if name.startswith("on_")]
HOOKS += ["setup", "teardown", "state_dict", "load_state_dict"]

StepMetric = Literal["learning rate", "gradient norm"]

log = logging.getLogger(__name__)


class Callback(pytorch_lightning.Callback):
    """Base class of the project's callbacks: Lightning's hooks, and declarations with defaults.

    Plain Lightning callbacks can be used as well; they count as callbacks with the default declarations.

    Attributes:
        affects_training: Whether the callback can change the metrics of a run. If not, its settings are no part of a
            run's fingerprint and may change when the run is resumed, and its errors do not stop the run. Read from the
            source without an import.
        skips_steps: Whether `on_train_batch_start`, `on_train_batch_end` and other hooks of a step may be skipped for
            steps that are not logged. If not, the fast loop calls the hooks at every step.
    """

    affects_training: ClassVar[bool] = True
    skips_steps: ClassVar[bool] = False

    def logged_metrics(self, data: Any) -> list[str]:
        """Return the names of all metrics that the callback logs for a data module; others may monitor them."""
        return []

    def step_metrics(self, trainer: pytorch_lightning.Trainer) -> dict[str, StepMetric]:
        """Return the metrics that the callback logs for steps whose loss is logged, by name.

        Steps of several runs that are computed together log them without calling the callback.
        """
        return {}

    def check(self, task: pytorch_lightning.LightningModule, data: Any) -> None:
        """Check before the run that a task and a data module fit the settings of the callback.

        Raises:
            UserError: They lack something, such as a layer that the config names.
        """


def has_hook(instance: Any, name: str, base: type) -> bool:
    """Return True if the class of an object overrides a hook, or the instance itself, as in a `LambdaCallback`."""
    return getattr(type(instance), name) is not getattr(base, name) or name in vars(instance)


def is_user_code(instance: object) -> bool:
    """Return whether the class of a callback or a task is neither one of this package nor one of Lightning."""
    return not type(instance).__module__.startswith(("trainer.", "pytorch_lightning."))


def guard_hooks(callback: pytorch_lightning.Callback, name: str) -> None:
    """Make a display callback inactive after its first exception, which is logged, so that the run continues.

    A callback of a user also leaves no trace in the training: the random number generators and the modes of all
    modules are restored after each hook. Some exceptions are still raised: a `UserError`, a full disk, exhausted
    memory, and in a run of several processes all, because the other processes may wait for this one.

    Args:
        callback: Callback that cannot change the metrics of a run.
        name: Name of the callback in the config.
    """
    guard = _Guard(callback, name)
    for hook in HOOKS:
        if has_hook(callback, hook, pytorch_lightning.Callback):
            vars(callback)[hook] = guard.wrap(getattr(callback, hook))


class _Guard:
    def __init__(self, callback: pytorch_lightning.Callback, name: str) -> None:
        self.description = f"callbacks.{name} ({type(callback).__name__})"
        self.is_user_code = is_user_code(callback)
        self.detach: Callable[..., Any] = callback.on_exception  # removes what the callback has attached to the network
        self.is_active = True

    def wrap(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(hook)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not self.is_active:
                return None
            tasks = [part for part in args[1:2] if isinstance(part, nn.Module)]
            with unchanged_state(*tasks) if self.is_user_code else nullcontext():
                try:
                    return hook(*args, **kwargs)
                except Exception as error:
                    if _must_stop(error):
                        raise
                    self._deactivate(error, args)
            return None

        return guarded

    def _deactivate(self, error: Exception, args: Sequence[Any]) -> None:
        self.is_active = False
        origin = traceback.extract_tb(error.__traceback__)[-1]
        location = f"{display_path(Path(origin.filename))}:{origin.lineno}"
        problem = f"{location}: {type(error).__name__}: {first_line(error)}"
        log.warning(f"warning: {self.description} is inactive from now on: {problem}")
        log.debug("traceback", exc_info=error)
        with suppress(Exception):
            self.detach(*args[:2], error)


def _must_stop(error: Exception) -> bool:
    is_distributed = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
    return is_distributed or isinstance(error, UserError) or is_disk_full(error) or is_out_of_memory(error)


@contextmanager
def unchanged_state(*roots: nn.Module) -> Iterator[None]:
    """Restore the random number generators and the modes of all modules after the block."""
    modes = [(module, module.training) for root in roots for module in root.modules()]
    try:
        with isolate_rng():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
