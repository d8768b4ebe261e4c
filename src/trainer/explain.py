"""Explain: one clear message for an error the user made, from the errors of Hydra and OmegaConf."""

import re
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from trainer.errors import UserError, did_you_mean


def explain(error: BaseException) -> str | None:
    """What a user should read instead of a traceback; None for a fault in code, which needs its traceback."""
    if isinstance(error, UserError) or type(error).__name__ == "MisconfigurationException":  # Lightning's, not imported
        return str(error)
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    if type(error).__name__ == "InstantiationException":  # raised by code that a config named
        return None
    cause = (
        error
        if isinstance(error, OmegaConfBaseException)
        else error.__cause__ or error.__context__ or error.__context__
    )
    text = re.sub(r"\s*Config search path:.*", "", str(error), flags=re.DOTALL)  # folders, of no help here
    # Hydra's advice to append an unknown key would let the misspelt one in
    text = re.sub(r"\s*To append to your config use .*", "", text)
    text = re.sub(r"\n\s*(full_key|object_type|reference_type)\b.*", "", text)
    if isinstance(cause, OmegaConfBaseException):
        text += _unknown_key(cause) or f"\n  {str(cause).splitlines()[0]}\n  at key '{cause.full_key}'"
    return re.sub(r"\n\s*\n+", "\n", text).strip() + _nearest_choice(text)


def _unknown_key(error: OmegaConfBaseException) -> str:
    """For a key that does not exist: the keys beside it. OmegaConf keeps their node in the error."""
    node: Any = error.parent_node
    if "not in" not in str(error) or node is None or not hasattr(node, "keys"):
        return ""
    offer = did_you_mean(str(error.key), [str(key) for key in node])
    return (
        f"\n  no key '{error.full_key}'{offer}\n"
        f"  (an argument that the config does not list is added with a plus: +{error.full_key}=...)"
    )


def _nearest_choice(text: str) -> str:
    """For a choice that does not exist: the nearest of those that do, which Hydra has listed."""
    wanted = re.search(r"Could not find '[^']*?([^/']+)'", text)
    options = re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE)
    return did_you_mean(wanted[1], options).replace("; did", "\ndid") if wanted and len(options) > 1 else ""
