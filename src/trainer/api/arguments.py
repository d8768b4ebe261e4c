"""Checks of the arguments of the Python API."""

from pathlib import Path
from typing import Any

from trainer.core.errors import UserError

EXPECTED_OVERRIDES = "overrides such as 'data=xor', 'optimizer.lr=0.1'"


def validate_overrides(function: str, overrides: tuple[Any, ...], expected: str = EXPECTED_OVERRIDES) -> list[str]:
    """Return the overrides.

    Args:
        function: Name of the function, for messages.
        overrides: Arguments of the user.
        expected: Description of the valid arguments.

    Raises:
        UserError: An argument is no text.
    """
    for override in overrides:
        if not isinstance(override, str):
            raise UserError(
                f"{function}: cannot use an argument of type {type(override).__name__}; expected {expected}"
            )
    return [*overrides]


def validate_path(function: str, path: Any, expected: str = "the path of a checkpoint or of a run directory") -> Path:
    """Return a path; see `validate_overrides`.

    Raises:
        UserError: The argument is no path.
    """
    if not isinstance(path, str | Path):
        raise UserError(f"{function}: cannot use an argument of type {type(path).__name__}; expected {expected}")
    return Path(path)
