"""Expansion of `~/` in the paths of a config; a shell expands it neither in `data.path=~/images` nor in a file."""

from pathlib import Path
from typing import Any

from omegaconf import flag_override


def expand_home(node: Any) -> None:
    """Replace `~/` at the start of texts by the home directory.

    Args:
        node: Config or a part of it; it is modified. Interpolations remain.
    """
    content = node._value()
    with flag_override(node, "readonly", False):
        for key in content if isinstance(content, dict) else range(len(content)):
            child = node._get_node(key)
            value = child._value()
            if isinstance(value, dict | list):
                expand_home(child)
            elif isinstance(value, str) and value.startswith("~/"):
                node[key] = str(Path(value).expanduser())
