"""Values: every reference in a config filled in, each on its own, so that one that leads nowhere hides no other."""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config.diagnostics import Mistake

MISSING = "???"


def resolved(config: DictConfig) -> tuple[dict[str, Any], list[Mistake]]:
    """A config as plain containers, without Hydra's own part, and what in it leads nowhere, which is missing there."""
    found: list[Mistake] = []
    return {str(name): _value(config, name, str(name), found) for name in config if name != "hydra"}, found


def _plain(node: DictConfig | ListConfig, key: str, found: list[Mistake]) -> Any:
    if isinstance(node, ListConfig):
        return [_value(node, place, f"{key}[{place}]", found) for place in range(len(node))]
    return {name: _value(node, name, f"{key}.{name!s}" if key else str(name), found) for name in node}


def _value(parent: Any, name: Any, key: str, found: list[Mistake]) -> Any:
    try:
        if OmegaConf.is_missing(parent, name):
            found.append(Mistake(key, "no value given", f"{key}=..."))
            return MISSING
        value = parent[name]
    except OmegaConfBaseException as error:
        if "MissingMandatoryValue" not in str(error):  # else the missing one is told
            found.append(Mistake(key, str(error).splitlines()[0]))
        return MISSING
    return _plain(value, key, found) if isinstance(value, DictConfig | ListConfig) else value
