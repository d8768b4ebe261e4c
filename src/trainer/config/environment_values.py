"""Values that a config reads from environment variables, such as `${oc.env:TOKEN}`, stored by name in files.

A run uses the values. In the files that it writes, a text that contains the value of a variable is replaced by its
interpolation, in which all references to other keys are resolved: `Bearer ${token}` becomes `Bearer ${oc.env:TOKEN}`.
Numbers and booleans are stored as values, because they are settings that determine the result and no secrets. So are
defaults of variables that are not set, names of projects, and the variables of this package, `TRAINER_...`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from trainer.core.errors import UserError

OWN_PREFIX = "TRAINER_"
PROJECT_VARIABLES = ("COMET_PROJECT_NAME", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT")  # which the packaged config reads
ENVIRONMENT_RESOLVER = "oc.env"
MARK = "\x1a"  # around an interpolation that reads a variable, while a config is resolved
MIN_SECRET_LENGTH = 4

_MAY_READ_PATTERN = re.compile(rf"\$\{{\s*\$\{{|{re.escape(ENVIRONMENT_RESOLVER)}")
_VARIABLE_PATTERN = re.compile(rf"{re.escape(ENVIRONMENT_RESOLVER)}:\s*(\w+)")
_MISSING_PATTERN = re.compile(r"Environment variable '([^']+)' not found")
_MARKED_PATTERN = re.compile(f"{MARK}[^{MARK}]*{MARK}")
# an interpolation that reads variables and nothing else: `${oc.env:A}`, `${oc.env:A,b}`, `${oc.decode:${oc.env:A}}`
_ENVIRONMENT_PATTERN = re.compile(
    r"\$\{oc\.env:[^{}$]*(\$\{oc\.env:[^{}$]*\}[^{}$]*)*\}|\$\{oc\.decode:\$\{oc\.env:[^{}$]*\}\}"
)


def resolve_values(config: DictConfig) -> dict[str, Any]:
    """Return a resolved config as plain containers, with the values of environment variables.

    Raises:
        UserError: A variable without a default is not set.
    """
    try:
        resolved = OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError as error:
        if problem := explain_missing_variable(error):
            raise UserError(f"{error.full_key}: {problem}") from None
        raise
    assert isinstance(resolved, dict)
    return {str(name): value for name, value in resolved.items()}


def resolve_for_storage(config: DictConfig) -> dict[str, Any]:
    """Return a resolved config as plain containers, in which texts from environment variables are stored by name.

    Raises:
        UserError: A variable without a default is not set.
    """
    values = resolve_values(config)
    raw: Any = OmegaConf.to_container(config)
    if not any(map(_MAY_READ_PATTERN.search, _iter_texts(raw))):
        return values
    untyped = OmegaConf.create(raw)  # an interpolation is no valid number
    OmegaConf.copy_cache(config, untyped)  # of `${now:...}`
    with _interpolations_by_name():
        named = _resolve_children(untyped)
    return {name: _merge(value, named[name]) for name, value in values.items()}


def explain_missing_variable(error: Exception) -> str:
    """Return the message if an interpolation reads an environment variable that is not set, else ""."""
    match = _MISSING_PATTERN.search(str(error))
    return f"the environment variable '{match[1]}' is not set" if match else ""


def find_missing_variable(config: Any, key: str) -> str:
    """Return the message for a variable that a recorded config needs and that is not set; "" if there is none.

    Args:
        config: Config of plain containers.
        key: Its key, for the message.
    """
    try:
        OmegaConf.to_container(OmegaConf.create({"value": config}), resolve=True)
    except InterpolationResolutionError as error:
        if problem := explain_missing_variable(error):
            return f"{key}{str(error.full_key).removeprefix('value')}: {problem}"
    return ""


def reads_only_environment(text: str) -> bool:
    """Return whether all interpolations of a text read environment variables and nothing else."""
    return "${" not in _ENVIRONMENT_PATTERN.sub("", text)


def list_secrets(config: DictConfig) -> dict[str, str]:
    """Return the texts of the environment variables that a config names, each with its interpolation.

    Numbers and short texts, which occur in other texts by chance, are not among them.
    """
    texts = _iter_texts(OmegaConf.to_container(config))
    names = [name for text in texts for name in _VARIABLE_PATTERN.findall(text) if _is_private(name)]
    values = {os.environ[name]: f"${{{ENVIRONMENT_RESOLVER}:{name}}}" for name in names}
    return {value: text for value, text in values.items() if len(value) >= MIN_SECRET_LENGTH and not _is_number(value)}


def redact(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return a value of plain containers in which stored texts replace those from environment variables.

    Args:
        value: Texts, also in containers; other values are returned unchanged.
        secrets: Result of `list_secrets`.
    """
    if isinstance(value, dict):
        return {name: redact(child, secrets) for name, child in value.items()}
    if type(value) in (list, tuple):  # not a named tuple, whose constructor takes other arguments
        return type(value)(redact(child, secrets) for child in value)
    if not isinstance(value, str):
        return value
    for secret in sorted(secrets, key=len, reverse=True):
        value = value.replace(secret, secrets[secret])
    return value


@contextmanager
def _interpolations_by_name() -> Iterator[None]:
    """Let interpolations that read environment variables return their own text, between marks."""
    resolvers = BaseContainer._resolvers
    originals = {**resolvers}
    resolvers.update({name: _make_naming_resolver(name, resolver) for name, resolver in originals.items()})
    try:
        yield
    finally:
        resolvers.clear()
        resolvers.update(originals)


def _make_naming_resolver(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(config: Any, parent: Any, node: Any, args: tuple[Any, ...], texts: tuple[str, ...]) -> Any:
        if name == ENVIRONMENT_RESOLVER:
            is_named = MARK in str(args[0]) or _is_private(str(args[0]))
        else:
            is_named = any(MARK in str(argument) for argument in args)
        if is_named:
            return f"{MARK}${{{name}:{','.join(map(_format_argument, args))}}}{MARK}"
        return original(config, parent, node, args, texts)

    return resolve


def _is_private(variable: str) -> bool:
    """Return whether a variable is set and may be a secret; if it is not set, its default is stored."""
    return variable in os.environ and not variable.startswith(OWN_PREFIX) and variable not in PROJECT_VARIABLES


def _format_argument(argument: Any) -> str:
    """Return an argument of a resolver in OmegaConf's grammar, without marks."""
    if isinstance(argument, list):
        return f"[{','.join(map(_format_argument, argument))}]"
    if isinstance(argument, dict):
        return f"{{{','.join(f'{name}:{_format_argument(child)}' for name, child in argument.items())}}}"
    if argument is None:
        return "null"
    if not isinstance(argument, str):
        return str(argument)
    text = argument.replace(MARK, "")
    if _MARKED_PATTERN.fullmatch(argument) or re.fullmatch(r"[A-Za-z_][\w.-]*", text, re.ASCII):
        return text
    return "'" + re.sub(r"(\\*)('|$)", lambda end: end[1] * 2 + end[2].replace("'", "\\'"), text) + "'"


def _resolve_children(node: DictConfig | ListConfig) -> Any:
    if isinstance(node, ListConfig):
        return [_resolve_child(node, index) for index in range(len(node))]
    return {str(name): _resolve_child(node, name) for name in node}


def _resolve_child(parent: Any, name: Any) -> Any:
    try:
        value = parent[name]
    except OmegaConfBaseException:  # for example, a key that depends on a variable
        raw: Any = OmegaConf.to_container(parent)
        return f"{MARK}{raw[name]}{MARK}" if isinstance(raw[name], str) else raw[name]
    return _resolve_children(value) if isinstance(value, DictConfig | ListConfig) else value


def _merge(value: Any, named: Any) -> Any:
    """Return a resolved value with the texts of those that are stored by name."""
    if isinstance(named, str) and MARK in named and not isinstance(value, int | float):
        return named.replace(MARK, "")
    if isinstance(value, dict) and isinstance(named, dict):
        return {name: _merge(child, named.get(str(name))) for name, child in value.items()}
    if isinstance(value, list) and isinstance(named, list):
        return [_merge(child, other) for child, other in zip(value, named, strict=True)]
    return value


def _iter_texts(node: Any) -> Iterator[str]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _iter_texts(child)
    if isinstance(node, str):
        yield node


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
