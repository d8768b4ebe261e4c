"""Resolution of all interpolations of a config, each separately, so that every invalid one is reported."""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config.diagnostics import Diagnostic
from trainer.config.environment_values import explain_missing_variable

MISSING = "???"


def resolve_config(config: DictConfig) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Return a config as plain containers, without Hydra's own part, and its errors; invalid values are `MISSING`."""
    diagnostics: list[Diagnostic] = []
    values = {str(name): _resolve_value(config, name, str(name), diagnostics) for name in config if name != "hydra"}
    return values, diagnostics


def _resolve_node(node: DictConfig | ListConfig, key: str, diagnostics: list[Diagnostic]) -> Any:
    if isinstance(node, ListConfig):
        return [_resolve_value(node, index, f"{key}[{index}]", diagnostics) for index in range(len(node))]
    return {name: _resolve_value(node, name, f"{key}.{name!s}" if key else str(name), diagnostics) for name in node}


def _resolve_value(parent: Any, name: Any, key: str, diagnostics: list[Diagnostic]) -> Any:
    try:
        if OmegaConf.is_missing(parent, name):
            diagnostics.append(Diagnostic(key, "no value given", f"{key}=..."))
            return MISSING
        value = parent[name]
    except OmegaConfBaseException as error:
        if "MissingMandatoryValue" not in str(error):  # the missing value itself is reported
            diagnostics.append(Diagnostic(key, explain_missing_variable(error) or str(error).splitlines()[0]))
        return MISSING
    return _resolve_node(value, key, diagnostics) if isinstance(value, DictConfig | ListConfig) else value
