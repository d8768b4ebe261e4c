"""Calls: every argument of every `_target_`, compared with its signature."""

import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from pkgutil import resolve_name
from typing import Any, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from trainer.config.diagnostics import Mistake
from trainer.core.errors import first_line, nearest
from trainer.training.preflight.interpolation import MISSING

_OF_HYDRA = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def mistakes_of_calls(key: str, value: Any) -> Iterator[Mistake]:
    """Everything wrong with the calls at a key and below it.

    Args:
        key: Dotted; "" is the whole config.
        value: What stands there, as plain containers.
    """
    if isinstance(value, dict):
        if "_target_" in value:
            yield from _of_call(key, value)
        for name, child in value.items():
            yield from mistakes_of_calls(f"{key}.{name}" if key else str(name), child)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from mistakes_of_calls(f"{key}[{place}]", child)


def _of_call(key: str, call: dict[str, Any]) -> Iterator[Mistake]:
    """What the signature of `_target_` has against the arguments beside it."""
    named = call["_target_"]
    try:
        target: Callable[..., Any] = resolve_name(named)
    except Exception as error:  # whatever importing somebody's module raises
        yield Mistake(f"{key}._target_", f"cannot import '{named}': {first_line(error.__cause__ or error)}")
        return
    try:
        parameters = inspect.signature(target).parameters
    except (ValueError, TypeError):  # some compiled callables tell nothing of themselves
        return
    names = [name for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = _hints(target)
    given = {name: value for name, value in call.items() if name not in _OF_HYDRA}
    for name, value in given.items():
        if name not in parameters and not takes_any:
            yield Mistake(f"{key}.{name}", f"{named} takes no '{name}'", nearest(name, names))
        elif name in hints and value != MISSING:
            yield from _of_type(f"{key}.{name}", value, hints[name])
    if not call.get("_partial_") and not call.get("_args_"):
        for name in names:
            if parameters[name].default is inspect.Parameter.empty and name not in given:
                yield Mistake(f"{key}.{name}", f"{named} needs a value for it", f"+{key}.{name}=...")


def _of_type(key: str, value: Any, hint: Any) -> Iterator[Mistake]:
    if isinstance(value, dict) and "_target_" in value:  # an object still to be built
        return
    try:
        _judge(hint).validate_python(value)
    except ValidationError as error:
        if isinstance(value, list | dict) and "_target_" in repr(value):
            return
        words = error.errors(include_url=False)
        own = next((e["msg"].removeprefix("Value error, ") for e in words if e["type"] == "value_error"), None)
        bounds = [e["msg"].removeprefix("Input should be ") for e in words if e["type"].startswith(("greater", "less"))]
        literal = next((e["ctx"]["expected"] for e in words if e["type"] == "literal_error"), None)
        if any(e["type"] == "predicate_failed" for e in words):  # the one that there is: ExistingPath
            own = f"there is no file or directory {value!r}"
        wanted = f"one of: {literal}" if literal else " and ".join(bounds) or _name(hint)
        yield Mistake(key, own or f"{value!r} is not {wanted}")
    except (PydanticUserError, TypeError, NameError):  # a hint that pydantic cannot judge
        return


def _judge(hint: Any) -> TypeAdapter[Any]:
    try:
        return _kept_judge(hint)
    except TypeError:  # a hint that cannot be hashed
        return _kept_judge.__wrapped__(hint)


@cache  # making one takes a millisecond, and the jobs of a sweep ask for the same ones
def _kept_judge(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)
    except Exception:  # a hint may name what is imported for type checkers only
        return {}


def _name(hint: Any) -> str:
    """A type as a user would say it: `int or null`, `list of int`."""
    if isinstance(hint, type) and not hasattr(hint, "__args__"):
        return hint.__name__
    text = re.sub(r"\b(typing|collections\.abc|torch)\.", "", str(hint))
    text = re.sub(r"Annotated\[([^,]*), .*\]", r"\1", text)
    text = re.sub(r"\b(?:Sequence|list|tuple)\[(\w+)(?:, \.\.\.)?\]", r"list of \1", text)
    text = re.sub(r"Optional\[(.*)\]", r"\1 | None", text)
    return text.replace(" | ", " or ").replace("None", "null")
