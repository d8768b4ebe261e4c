"""Recorded configs: the config of an earlier run, from its `config.yaml` or a checkpoint, for a new run."""

import os
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from trainer.config.schema import HOME

RUN_DIRECTORY = "${hydra:runtime.output_dir}"


def primary_config(config: dict[str, Any], run: str, home: Path = HOME) -> dict[str, Any]:
    """Return a recorded config as the primary config of a new run; what lay in the old run directory lies in the new.

    Args:
        config: Resolved, as plain containers.
        run: The old run directory, as the config has it.
        home: The folder whose `conf/config.yaml` has Hydra's own settings.
    """
    values: dict[str, Any] = _moved(config, run)
    return {"defaults": ["schema", "_self_"], **values, "hydra": OmegaConf.load(home / "conf/config.yaml").hydra}


def _moved(value: Any, run: str) -> Any:
    if isinstance(value, dict):
        return {name: _moved(child, run) for name, child in value.items()}
    if isinstance(value, list):
        return [_moved(child, run) for child in value]
    inside = isinstance(value, str) and (value == run or value.startswith(run + os.sep))
    return RUN_DIRECTORY + value[len(run) :] if inside else value
