"""Translation of Hydra's and OmegaConf's errors into diagnostics. Imports no torch."""

import re
from collections.abc import Callable
from typing import Any

from omegaconf.errors import OmegaConfBaseException, ValidationError

from trainer.config.diagnostics import Diagnostic, SourceLocation
from trainer.config.introspection.group_options import LIST_GROUPS
from trainer.config.key_suggestions import suggest_overrides
from trainer.config.stray_arguments import describe_invalid_value
from trainer.core.errors import suggest_names
from trainer.core.formatting import quote_argument
from trainer.core.installation import format_install_command
from trainer.core.override_format import quote_text

# third-party launchers, and the extras that install them
LAUNCHER_EXTRAS = {"joblib": "parallel", "submitit_slurm": "slurm", "submitit_local": "slurm"}


def diagnose_hydra_error(error: Exception, override: str | None, options: Callable[[str], list[str]]) -> Diagnostic:
    """Return the diagnostic of an error that Hydra raised during composition.

    Args:
        error: Hydra's error.
        override: Override that causes it; None if the error is in a file.
        options: Function that returns the choices of a group, or an empty list for a key that is no group.
    """
    location = SourceLocation(override) if override else None
    key, _, value = (override or "").lstrip("+~").partition("=")
    cause: Any = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    if override and "Ambiguous value" in str(error):
        values, text = (quote_argument(f"{key}={content}") for content in (f"[{value}]", quote_text(value)))
        hint = f"expected a list, {values}, --multirun for a sweep, or quotes for a text, {text}"
        return Diagnostic(key, "several values for one run", hint, location)
    if missing := re.search(r"Could not (?:find|load) '([^']+)/([^'/]+)'", str(error)):
        extra = LAUNCHER_EXTRAS.get(missing[2]) if missing[1] == "hydra/launcher" else None
        names = suggest_names(missing[2], sorted(options(missing[1])), max_listed=100)
        hint = f"install it: {format_install_command(extra)}" if extra else names
        return Diagnostic(missing[1], f"there is no '{missing[1]}/{missing[2]}'", hint, location)
    if isinstance(cause, ValidationError):
        return Diagnostic(key or str(cause.full_key), str(cause).splitlines()[0], location=location)
    if (siblings := _find_sibling_keys(cause)) is not None:
        group = str(cause.full_key).removesuffix("._target_")
        names = suggest_names(str(cause.key), siblings)
        if override and (similar := suggest_overrides(override, group.rpartition(".")[0], cause.parent_node)):
            return Diagnostic(group, "no such key", f"did you mean {' or '.join(similar)}?", location)
        hint = f"its entries have names: +{group}.NAME._target_=..." if group in LIST_GROUPS else names
        can_add = "_target_" in siblings or (not siblings and group not in LIST_GROUPS)
        if can_add and override and not override.startswith(("+", "~")):
            plus = f"to add an argument that the config does not list, type a plus: {quote_argument(f'+{override}')}"
            hint = f"{hint} ({plus})" if hint else plus
        return Diagnostic(str(cause.full_key or cause.key), "no such key", hint, location)
    if "An item is already at" in str(error):
        hint = f"leave the plus out: {quote_argument(f'{key}={value}')}"
        return Diagnostic(key, "key already exists", hint, location)
    return Diagnostic(key, format_hydra_error(error).replace("\n", " "), location=location)


def diagnose_syntax_error(override: str) -> Diagnostic:
    """Return the diagnostic of an override that does not follow Hydra's grammar."""
    key, _, value = override.partition("=")
    problem = describe_invalid_value(value)
    if re.search(r"[^\w./@$+~-]", key, re.ASCII):
        problem = "not a valid key"
        hint = "expected key=value, with a key of the config as in optimizer.lr=0.1"
    else:
        hint = f"if the value is a text, quote it: {quote_argument(f'{key}={quote_text(value)}')}"
    return Diagnostic(key, problem, hint, SourceLocation(override))


def format_hydra_error(error: BaseException) -> str:
    """Return the message of a Hydra error without search paths, object types and misleading advice."""
    text = re.sub(r"\s*(Config s|S)earch path:.*", "", str(error), flags=re.DOTALL)
    text = re.sub(r":?\n\t", lambda tab: ": " if tab[0][0] == ":" else ", ", text)  # options on one line
    # Hydra advises to append an unknown key, which would accept a misspelled one
    text = re.sub(r"\s*To append to your config use .*", "", text)
    text = re.sub(r"\n\s*(full_key|object_type|reference_type)\b.*", "", text)
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OmegaConfBaseException) and not isinstance(error, OmegaConfBaseException):
        text += f"\n  {str(cause).splitlines()[0]}\n  at key '{cause.full_key}'"
    return re.sub(r"\n\s*\n+", "\n", text).strip()


def _find_sibling_keys(error: Any) -> list[str] | None:
    """Return the keys of the node in which OmegaConf did not find a key, or None for other errors."""
    node = getattr(error, "parent_node", None)
    if "not in" not in str(error) or node is None or not hasattr(node, "keys"):
        return None
    return [str(key) for key in node if key != "hydra"]
