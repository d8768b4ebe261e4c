"""Loggers of a trial, which have the attributes of the run's loggers and write nothing."""

from pkgutil import resolve_name
from typing import Any
from unittest.mock import MagicMock

from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

KNOWN_PACKAGES = ("pytorch_lightning", "trainer")  # the public attributes of their loggers are those of the classes


class TrialLogger(Logger):
    """Logger without output that `isinstance` regards as another one, with the same attributes.

    Its methods accept every call, and so does everything that they return.

    Args:
        logger_class: Class of the run's logger.
        directory: Directory of files that user code writes next to a log.
    """

    name = "trial"
    version = 0
    save_dir = ""
    root_dir = ""
    log_dir = ""
    _logger_class: type = Logger

    def __init__(self, logger_class: type, directory: str) -> None:
        super().__init__()
        self._logger_class = logger_class
        self.save_dir = directory
        self.root_dir = directory
        self.log_dir = directory
        self.experiment = MagicMock()
        self.hparams: dict[str, Any] = {}

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self._logger_class

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Discard metrics."""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Discard hyperparameters."""

    def __getattr__(self, name: str) -> Any:
        cls = self._logger_class
        is_known = cls is not Logger and cls.__module__.partition(".")[0] in KNOWN_PACKAGES
        if name.startswith("__") or (is_known and not hasattr(cls, name)):
            raise AttributeError(f"'{cls.__name__}' object has no attribute '{name}'")
        return MagicMock()


def make_trial_loggers(config: DictConfig, directory: str) -> list[Logger]:
    """Return a logger for each one of the config, in the same order.

    Args:
        config: The whole config.
        directory: Directory of files that user code writes next to a log.
    """
    targets = [resolve_name(node["_target_"]) for node in (config.logger or {}).values()]
    return [TrialLogger(target if isinstance(target, type) else Logger, directory) for target in targets]
