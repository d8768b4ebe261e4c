"""Explain: one clear message for an error the user made, from the errors of Hydra and OmegaConf."""

import re
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from trainer.errors import UserError, did_you_mean
from trainer.usage import choices


def explain(error: BaseException) -> str | None:
    """What a user should read instead of a traceback; None for a fault in code, which needs its traceback."""
    name, text = type(error).__name__, str(error)
    if isinstance(error, UserError) or name == "MisconfigurationException":  # Lightning's, not imported for this
        return text
    if text.startswith("Error(s) in loading state_dict"):
        return f"ckpt_path: the checkpoint is of another network\n  {text.splitlines()[1].strip()}"
    if not isinstance(error, HydraException | OmegaConfBaseException) or name == "InstantiationException":
        return None  # the last is raised by code that a config named
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    text = re.sub(r"\s*Config search path:.*", "", text, flags=re.DOTALL)  # folders, of no help here
    text = re.sub(
        r":?\n\t", lambda tab: ": " if tab[0][0] == ":" else ", ", text
    )  # options: in one line, not one in each
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
    keys = [str(key) for key in node if key != "hydra"]
    text = f"\n  no key '{error.full_key}'{did_you_mean(str(error.key), keys)}"
    if "_target_" in keys:
        text += f"\n  (an argument that the config does not list is added with a plus: +{error.full_key}=...)"
    return text


def _nearest_choice(text: str) -> str:
    """For a choice that does not exist: the nearest of those that do."""
    wanted = re.search(r"Could not (?:find|load) '([^']+)/([^'/]+)'", text)
    options = sorted(choices().get(wanted[1], ())) if wanted else []
    if not wanted or not options:
        return ""
    offer = did_you_mean(wanted[2], options).removeprefix("; ")
    return "" if offer.startswith("there are") and "Available options" in text else f"\n{offer}"
