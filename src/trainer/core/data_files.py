"""Readers of JSON and YAML files that may be corrupted or hostile, with a check of their types.

Such files are read from run directories. A file of any content is read in time and memory proportional to its size.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml

MAX_FILE_BYTES = 20_000_000
MAX_DEPTH = 100  # of nested containers
_YAML_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class InvalidFileError(ValueError):
    """A file that cannot be read; the message is the reason."""


def read_json(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        FileNotFoundError: The file does not exist.
        InvalidFileError: The file cannot be read, or is not JSON.
    """
    text = _read_text(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else f"no valid JSON: {error}"
        raise InvalidFileError(f"{file.name}: {reason}") from None


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file without aliases, which can multiply its size, and without objects.

    Raises:
        FileNotFoundError: The file does not exist.
        InvalidFileError: The file cannot be read, is not YAML, or contains aliases.
    """
    text = _read_text(file)
    try:
        depth = 0
        for event in yaml.parse(text, _YAML_PARSER):
            if isinstance(event, yaml.AliasEvent):
                raise InvalidFileError(f"{file.name}: aliases, such as *{event.anchor}, are not allowed")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise InvalidFileError(f"{file.name}: nested too deeply")
        return yaml.load(text, _YAML_PARSER)
    except InvalidFileError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: for example a date 2020-13-45
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise InvalidFileError(f"{file.name}: {line}no valid YAML: {reason}") from None


def check_types(content: Any, schema: Mapping[str, Any], *, is_complete: bool = False) -> str:
    """Return the first problem of a mapping, or "" if all of its keys have the types of a schema.

    Args:
        content: Content of a file.
        schema: Type of each key, e.g. `int | None` or `dict[str, list[str]]`. Other keys are allowed.
        is_complete: Whether all keys of the schema are required. Defaults to False.
    """
    if not isinstance(content, dict):
        return f"expected a mapping, found {_describe(content)}"
    if other := next((key for key in content if not isinstance(key, str)), None):
        return f"key {other!r}: expected a text"
    for key, expected in schema.items():
        if is_complete and key not in content:
            return f"{key} is missing"
        if key in content and not _make_check(expected)(content[key]):
            return f"{key}: expected {_format_type(expected)}, found {_describe(content[key])}"
    return ""


def _read_text(file: Path) -> str:
    try:
        if (size := file.stat().st_size) > MAX_FILE_BYTES:
            raise InvalidFileError(f"{file.name}: {size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidFileError(f"{file.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidFileError(f"{file.name}: no UTF-8 text") from None
    if not text.strip():
        raise InvalidFileError(f"{file.name}: empty file")
    return text


@cache
def _make_check(expected: Any) -> Callable[[Any], bool]:
    """Return a function that returns whether a value has a type."""
    if expected is Any:
        return lambda value: True
    origin = get_origin(expected)
    arguments = get_args(expected)
    if origin is Literal:
        return lambda value: value in arguments
    if origin is list:
        check = _make_check(arguments[0])
        return lambda value: isinstance(value, list) and all(map(check, value))
    if origin is dict:
        check_key, check = map(_make_check, arguments)
        return lambda value: isinstance(value, dict) and all(map(check_key, value)) and all(map(check, value.values()))
    members = arguments if origin in (Union, UnionType) else (expected,)
    checks = [_make_check(member) for member in members if get_origin(member)]
    types = {*members, int} if float in members else {*members}
    return lambda value: type(value) in types or any(check(value) for check in checks)  # True is no number


def _format_type(expected: Any) -> str:
    return str(expected) if get_origin(expected) or not hasattr(expected, "__name__") else str(expected.__name__)


def _describe(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
