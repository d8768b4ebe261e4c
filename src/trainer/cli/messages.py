"""Error messages that replace tracebacks. Imports torch only to check a command line."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import OmegaConfBaseException

from trainer.config.diagnostics import raise_on_errors
from trainer.config.hydra_errors import format_hydra_error
from trainer.core.disk_space import explain_full_disk, is_disk_full
from trainer.core.errors import UserError, format_user_message
from trainer.core.escaping import escape_control


def print_error(error: Exception, argv: Sequence[str]) -> None:
    """Print an error without its traceback, unless it is one in code.

    Args:
        error: Exception that ended the command.
        argv: Command line.
    """
    message = format_error(error, argv)
    traceback.print_exception(error) if message is None else print(f"error: {message}", file=sys.stderr)


def format_error(error: BaseException, argv: Sequence[str]) -> str | None:
    """Return the message for an exception, or None for an error in code, which needs its traceback.

    Args:
        error: Exception that ended the command.
        argv: Command line; if Hydra could not compose it, the message lists all of its errors.
    """
    if (text := format_user_message(error)) is not None:
        return text
    if is_disk_full(error):  # before the run, by Hydra
        directory = HydraConfig.get().run.dir if HydraConfig.initialized() else "."
        return explain_full_disk(error, [Path(directory)])
    is_hydra_error = isinstance(error, HydraException | OmegaConfBaseException) and not isinstance(
        error, InstantiationException
    )
    if not is_hydra_error and any(frame.name == "run_job" for frame in traceback.extract_tb(error.__traceback__)):
        return None  # raised by this package or by code that a config names
    try:
        validate_overrides(argv)
    except UserError as diagnostics:
        return str(diagnostics)
    return escape_control(format_hydra_error(error)) if is_hydra_error else None


def validate_overrides(argv: Sequence[str]) -> None:
    """Check all jobs of a command line.

    Raises:
        UserError: Lists the errors of all jobs.
    """
    from trainer.sweeps.preflight import check_overrides

    raise_on_errors(check_overrides(argv, to_run=True).diagnostics)
