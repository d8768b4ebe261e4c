"""Validated values of the rows of a ledger, which may be corrupted or come from elsewhere."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

from trainer.artifacts.config_signature import is_command_signed
from trainer.artifacts.run_schema import check_result
from trainer.core.data_files import check_types
from trainer.sweeps.store.job import Job

SEARCH_TYPES = {"space": dict[str, dict[str, Any]], "fixed": list[str], "goal": dict[str, Any], "trials": int}
GOAL_TYPES = {
    "metrics": list[str],
    "directions": list[Literal["min", "max"]],
    "sampler": str | dict[str, Any],
    "pruner": str | dict[str, Any],
    "seed": int,
}
CHOICE_TYPES = {"key": str, "values": list[str]}
NUMBER_TYPES = {"key": str, "low": float, "high": float, "step": float | None, "log": bool, "whole": bool}


@cache
def _get_column_types() -> dict[str, Any]:
    return get_type_hints(Job)


class InvalidRowError(ValueError):
    """A row of a ledger with an invalid value."""


@dataclass(frozen=True)
class SweepCommand:
    """A command that has started or extended a sweep.

    Args:
        overrides: Overrides and options of the command line.
        directory: Working directory of the command.
        signature: Signature of both by the user of the command; None without one.
    """

    overrides: list[str]
    directory: Path
    signature: str | None

    @property
    def is_own(self) -> bool:
        """Return whether this user has typed the command."""
        return is_command_signed(self.overrides, self.directory, self.signature)


def parse_job(row: Sequence[Any]) -> Job:
    """Return a row with the values of `JOB_COLUMNS` as a job.

    Raises:
        InvalidRowError: A value has another type than its field.
    """
    hints = _get_column_types()
    values = dict(zip(hints, row, strict=True))
    values["overrides"] = _parse_overrides(values["overrides"])
    values["result"] = _parse_result(values["result"])
    if problem := check_types(values, hints):
        raise InvalidRowError(problem)
    return Job(**values)


def parse_command(overrides: Any, directory: Any, signature: Any) -> SweepCommand:
    """Return a command from the values of its row.

    Raises:
        InvalidRowError: A value has another type than its field.
    """
    if not isinstance(directory, str) or not isinstance(signature, str | None):
        raise InvalidRowError("command: expected texts")
    return SweepCommand(_parse_overrides(overrides), Path(directory), signature)


def parse_trial(trial_values: Any, notes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tried values and the internal data of a trial from the values of its row.

    Raises:
        InvalidRowError: A value has another type than its field.
    """
    return _parse_mapping("trial_values", trial_values), _parse_mapping("notes", notes)


def parse_search(text: Any) -> dict[str, Any]:
    """Return the settings of a search from the value of its row.

    Raises:
        InvalidRowError: A setting is missing or has another type.
    """
    settings = _parse_mapping("search", text)
    _require_types("search", settings, SEARCH_TYPES)
    goal = settings["goal"]
    _require_types("goal", goal, GOAL_TYPES)
    if not len(goal["metrics"]) == len(goal["directions"]) > 0:
        raise InvalidRowError("goal: expected one direction for each metric")
    for dimension in settings["space"].values():
        _require_types("space", dimension, CHOICE_TYPES if "values" in dimension else NUMBER_TYPES)
    return settings


def _require_types(name: str, content: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    if problem := check_types(content, schema, is_complete=True):
        raise InvalidRowError(f"{name}: {problem}")


def _parse_mapping(column: str, text: Any) -> dict[str, Any]:
    mapping = _parse(text)
    if not isinstance(mapping, dict):
        raise InvalidRowError(f"{column}: expected a mapping")
    return mapping


def _parse_overrides(text: Any) -> list[str]:
    overrides = _parse(text)
    if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
        raise InvalidRowError("overrides: expected a list of texts")
    return overrides


def _parse_result(text: Any) -> dict[str, Any] | None:
    if text is None:
        return None
    result = _parse(text)
    if problem := check_result(result):
        raise InvalidRowError(f"result: {problem}")
    return dict(result)


def _parse(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRowError(f"no valid JSON: {error}") from None
