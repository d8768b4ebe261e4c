"""Checks of the arguments of every `_target_` against its signature."""

import contextlib
import inspect
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from enum import Enum
from functools import cache
from importlib import import_module
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from trainer.config.diagnostics import Diagnostic
from trainer.core.errors import first_line, suggest_names
from trainer.training.preflight.interpolation import MISSING
from trainer.training.preflight.trial_step import diagnose_user_error

_HYDRA_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def check_calls(key: str, value: Any, provided: Collection[str] = ()) -> Iterator[Diagnostic]:
    """Yield all errors in the calls at a key and below it.

    Args:
        key: Dotted key.
        value: Value of the key, as plain containers.
        provided: Required arguments of the call at the key that the run adds. Defaults to none.
    """
    if isinstance(value, dict):
        if value.get("_target_", MISSING) != MISSING:  # a missing one is reported like any missing value
            yield from _check_call(key, value, provided)
        for name, child in value.items():
            yield from check_calls(f"{key}.{name}", child)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from check_calls(f"{key}[{index}]", child)


def _check_call(key: str, call: dict[str, Any], provided: Collection[str]) -> Iterator[Diagnostic]:
    name = call["_target_"]
    try:
        target: Callable[..., Any] = resolve_name(name)
    except Exception as error:  # importing a user's module may raise anything
        yield _diagnose_import_error(f"{key}._target_", name, error)
        return
    try:
        parameters = inspect.signature(target).parameters
    except (ValueError, TypeError):  # some compiled callables have no signature
        return
    names = [arg for arg, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    accepts_kwargs = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = _read_type_hints(target)
    kwargs = {arg: value for arg, value in call.items() if arg not in _HYDRA_KEYS}
    for arg, value in kwargs.items():
        if arg not in parameters and not accepts_kwargs:
            yield Diagnostic(f"{key}.{arg}", f"{name} takes no '{arg}'", suggest_names(arg, names))
        elif arg in hints and value != MISSING and not _is_like_default(value, parameters.get(arg), hints[arg]):
            yield from _check_type(f"{key}.{arg}", value, hints[arg])
    if not call.get("_partial_") and not call.get("_args_"):
        for arg in names:
            if parameters[arg].default is inspect.Parameter.empty and arg not in {*kwargs, *provided}:
                yield Diagnostic(f"{key}.{arg}", f"{name} requires a value", f"+{key}.{arg}=...")


def _diagnose_import_error(key: str, name: str, error: Exception) -> Diagnostic:
    cause = _find_import_error(name) or error.__cause__ or error
    problem = f"cannot import '{name}': {first_line(cause)}"
    hint = suggest_names(str(cause.name), dir(cause.obj), 0) if isinstance(cause, AttributeError) else ""
    return replace(diagnose_user_error(cause, key), problem=problem, suggestion=hint)


def _find_import_error(name: str) -> Exception | None:
    """Return the exception in an existing module of a dotted name, which `resolve_name` ignores; None without one."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        module = ".".join(parts[:end])
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            return None if error.name == module else error
        except Exception as error:  # user code may raise anything
            return error
    return None


def _is_like_default(value: Any, parameter: inspect.Parameter | None, hint: Any) -> bool:
    """Return whether a value has the type of a default that violates the hint: `path: str = None`."""
    if parameter is None or type(value) is not type(parameter.default):
        return False
    return any(_check_type("", parameter.default, hint))


def _check_type(key: str, value: Any, hint: Any) -> Iterator[Diagnostic]:
    if isinstance(value, dict) and "_target_" in value:  # an object that has not been built
        return
    try:
        converted = _type_adapter(hint).validate_python(value)
        if isinstance(converted, Enum) and converted != value:
            member = f"{{_target_: {type(converted).__module__}.{type(converted).__qualname__}, value: {value}}}"
            yield Diagnostic(key, f"{value!r} is not {_format_type(type(converted))}", f"expected {member}")
    except ValidationError as error:
        if isinstance(value, list | dict) and "_target_" in repr(value):
            return
        errors = error.errors(include_url=False)
        problem = next((e["msg"].removeprefix("Value error, ") for e in errors if e["type"] == "value_error"), None)
        bounds = [
            e["msg"].removeprefix("Input should be ") for e in errors if e["type"].startswith(("greater", "less"))
        ]
        literal = next((e["ctx"]["expected"] for e in errors if e["type"] in ("literal_error", "enum")), None)
        if any(e["type"] == "predicate_failed" for e in errors):  # the only predicate is that of ExistingPath
            problem = f"there is no file or directory {value!r}"
        expected = f"one of: {literal}" if literal else " and ".join(bounds) or _format_type(hint)
        yield Diagnostic(key, problem or f"{value!r} is not {expected}")
    except (PydanticUserError, TypeError, NameError):  # pydantic does not support the hint
        return


def _type_adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return _cached_type_adapter(hint)
    except TypeError:  # the hint is not hashable
        return _cached_type_adapter.__wrapped__(hint)


@cache  # creating one takes a millisecond, and the jobs of a sweep use the same ones
def _cached_type_adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _read_type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the type hints that can be evaluated; one may use a name that is imported for type checkers only."""
    function = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    namespace = getattr(function, "__globals__", {})
    hints: dict[str, Any] = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        annotations = SimpleNamespace(__annotations__={name: hint})
        with contextlib.suppress(Exception):
            hints |= get_type_hints(annotations, namespace, include_extras=True)
    return hints


def _format_type(hint: Any) -> str:
    """Return a type in the notation of messages: `int or null`, `list of int`."""
    if isinstance(hint, type) and not hasattr(hint, "__args__"):
        return hint.__name__
    text = re.sub(r"\b(typing|collections\.abc|torch)\.", "", str(hint))
    text = re.sub(r"Annotated\[([^,]*), .*\]", r"\1", text)
    text = re.sub(r"\b(?:Sequence|list|tuple)\[(\w+)(?:, \.\.\.)?\]", r"list of \1", text)
    text = re.sub(r"Optional\[(.*)\]", r"\1 | None", text)
    return text.replace(" | ", " or ").replace("None", "null")
