"""Config of an earlier run, from its `config.yaml` or a checkpoint, as the config of a new run."""

import os
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from trainer.config.schema import RESOURCE_DIR

RECORDED_CONFIG = "recorded_config.yaml"  # its values are not settings of the user, as it contains all defaults
OUTPUT_DIR_INTERPOLATION = "${hydra:runtime.output_dir}"


def build_primary_config(config: dict[str, Any], run: str, home: Path = RESOURCE_DIR) -> dict[str, Any]:
    """Return a recorded config as the primary config of a new run, with paths moved to the new run directory.

    Args:
        config: Resolved config as plain containers.
        run: The old run directory as it appears in the config.
        home: Directory whose `conf/config.yaml` contains Hydra's own settings. Defaults to the packaged one.
    """
    values: dict[str, Any] = _relocate_paths(config, run)
    return {"defaults": ["schema", "_self_"], **values, "hydra": OmegaConf.load(home / "conf/config.yaml").hydra}


def adapt_to_machine(config: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded config with the data directory and one device of this machine.

    Args:
        config: Config as plain containers.
    """
    data = dict(config["data"])
    data_dir = os.environ.get("TRAINER_DATA_DIR")
    if data_dir and "dir" in data:
        data["dir"] = data_dir
    accelerator = "cpu" if config["trainer"].get("accelerator") == "cpu" else "auto"
    device = {"accelerator": accelerator, "devices": 1, "strategy": "auto"}
    return {**config, "data": data, "trainer": {**config["trainer"], **device}}


def _relocate_paths(value: Any, run: str) -> Any:
    if isinstance(value, dict):
        return {name: _relocate_paths(child, run) for name, child in value.items()}
    if isinstance(value, list):
        return [_relocate_paths(child, run) for child in value]
    inside = isinstance(value, str) and (value == run or value.startswith(run + os.sep))
    return OUTPUT_DIR_INTERPOLATION + value[len(run) :] if inside else value
