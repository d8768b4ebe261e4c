"""Fingerprint: a hash of the settings that decide the numbers of a run, and which settings those are."""

import hashlib
import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

# what does not change the numbers a run arrives at, and so has no part in its fingerprint
INCIDENTAL = (
    *("outputs", "task_name", "tags", "logger", "optimized_metric", "data.dir", "data.mirrors", "data.download"),
    *("callbacks.progress", "callbacks.pictures", "callbacks.lr_monitor", "callbacks.forecast"),
    *("callbacks.classes", "callbacks.values"),
    *("callbacks.samples", "callbacks.sample_quality"),
    *("callbacks.attention_maps", "callbacks.checkpoint.every_minutes", "callbacks.pruning", "resume", "sweep"),
)


def fingerprint(config: dict[str, Any], directory: Path) -> str:
    """A hash of every setting that decides the numbers: equal for two runs that ought to agree.

    Args:
        config: The resolved config as plain containers.
        directory: The run directory, which some settings name.

    Returns:
        str: 16 hexadecimal digits.
    """
    essential = OmegaConf.create(config)
    for key in INCIDENTAL:
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(essential, parent) if parent else essential
        if node and name in node:
            del node[name]
    text = json.dumps(OmegaConf.to_container(essential), sort_keys=True, default=str)
    return hashlib.sha256(text.replace(str(directory.absolute()), ".").encode()).hexdigest()[:16]
