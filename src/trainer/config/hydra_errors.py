"""Hydra's errors, and OmegaConf's, as mistakes that name the key and the word to blame. Imports no torch."""

import re
from collections.abc import Callable
from typing import Any

from omegaconf.errors import OmegaConfBaseException, ValidationError

from trainer.config.diagnostics import Mistake, Place
from trainer.core.errors import nearest
from trainer.core.optional_packages import install_command

# launchers that others have written, and our extras that bring them
EXTRAS = {"joblib": "parallel", "submitit_slurm": "slurm", "submitit_local": "slurm"}


def mistake_in(error: Exception, word: str | None, options: Callable[[str], list[str]]) -> Mistake:
    """What is wrong with a word of the command line that Hydra could not compose.

    Args:
        error: Hydra's.
        word: To blame; None where it lies in a file.
        options: The choices of a group, by its name; none for what is no group.
    """
    place = Place(word) if word else None
    key, _, value = (word or "").lstrip("+~").partition("=")
    cause: Any = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    if word and "Ambiguous value" in str(error):
        return Mistake(key, "several values for one run", f"a list is {key}=[{value}], a sweep has --multirun", place)
    if missing := re.search(r"Could not (?:find|load) '([^']+)/([^'/]+)'", str(error)):
        extra = EXTRAS.get(missing[2]) if missing[1] == "hydra/launcher" else None
        near = nearest(missing[2], sorted(options(missing[1])), all_of=100)
        near = f"it comes with: {install_command(extra)}" if extra else near
        return Mistake(missing[1], f"there is no '{missing[1]}/{missing[2]}'", near, place)
    if isinstance(cause, ValidationError):
        return Mistake(key or str(cause.full_key), str(cause).splitlines()[0], place=place)
    if (keys := _keys_beside(cause)) is not None:
        offer = nearest(str(cause.key), keys)
        if "_target_" in keys and word and not word.startswith(("+", "~")):
            offer += f" (an argument that the config does not list is added with a plus: +{word})"
        return Mistake(str(cause.full_key or cause.key), "no such key", offer.strip(), place)
    if "An item is already at" in str(error):
        return Mistake(key, "is there already", f"leave the plus out: {key}={value}", place)
    return Mistake(key, plain(error).replace("\n", " "), place=place)


def plain(error: BaseException) -> str:
    """The words of Hydra's error, without what is of no help."""
    text = re.sub(r"\s*(Config s|S)earch path:.*", "", str(error), flags=re.DOTALL)  # folders
    text = re.sub(r":?\n\t", lambda tab: ": " if tab[0][0] == ":" else ", ", text)  # options: in one line
    # Hydra's advice to append an unknown key would let the misspelt one in
    text = re.sub(r"\s*To append to your config use .*", "", text)
    text = re.sub(r"\n\s*(full_key|object_type|reference_type)\b.*", "", text)
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OmegaConfBaseException) and not isinstance(error, OmegaConfBaseException):
        text += f"\n  {str(cause).splitlines()[0]}\n  at key '{cause.full_key}'"
    return re.sub(r"\n\s*\n+", "\n", text).strip()


def _keys_beside(error: Any) -> list[str] | None:
    """For a key that does not exist: the keys beside it. OmegaConf keeps their node in the error."""
    node = getattr(error, "parent_node", None)
    if "not in" not in str(error) or node is None or not hasattr(node, "keys"):
        return None
    return [str(key) for key in node if key != "hydra"]
