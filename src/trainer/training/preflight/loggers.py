"""Checks of loggers by their types; no logger is constructed, as it may start a run on a server."""

import inspect
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any

from pytorch_lightning.loggers import CometLogger, Logger, MLFlowLogger, WandbLogger

from trainer.config.diagnostics import Diagnostic
from trainer.core.installation import format_install_command

# package that a logger and its subclasses import, and the extra that installs it
OPTIONAL_PACKAGES = {
    WandbLogger: ("wandb", "wandb"),
    MLFlowLogger: ("mlflow", "mlflow"),
    CometLogger: ("comet_ml", "comet"),
}


def check_loggers(loggers: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Yield an error for each target that is not a logger, and for each missing package.

    Args:
        loggers: Nodes with targets that can be imported, by name.
    """
    for name, node in loggers.items():
        target = resolve_name(node["_target_"])
        if not inspect.isclass(target):  # a function that returns a logger
            continue
        if not issubclass(target, Logger):
            hint = "expected a subclass of pytorch_lightning.loggers.Logger"
            yield Diagnostic(f"logger.{name}._target_", f"{node['_target_']} is not a logger of Lightning", hint)
        for cls, (package, extra) in OPTIONAL_PACKAGES.items():
            if issubclass(target, cls) and package not in sys.modules and find_spec(package) is None:
                hint = f"install it with {format_install_command(extra)}"
                yield Diagnostic(f"logger.{name}", f"needs the package '{package}'", hint)
