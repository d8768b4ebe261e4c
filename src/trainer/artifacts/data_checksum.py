"""Checksum of the examples of a data module, and detection of changed data."""

import logging
from typing import Any

from hydra.utils import instantiate
from pytorch_lightning.utilities.seed import isolate_rng

from trainer.artifacts.change_detection import DATA_KEYS
from trainer.core.errors import first_line
from trainer.core.spec import find_spec
from trainer.data.base import TensorData

log = logging.getLogger(__name__)

DATALOADER_METHODS = ("train_dataloader", "val_dataloader", "test_dataloader")


def compute_checksum(data: Any) -> str | None:
    """Return the checksum of a data module, or None if it has no checksum of its examples.

    Args:
        data: Data module after its `setup`.
    """
    method = getattr(type(data), "checksum", None)
    if method is TensorData.checksum:
        return str(data.checksum()) if _is_covered_by_checksum(data) else None
    code = getattr(method, "__code__", None)
    is_constant = code is not None and not (code.co_names or code.co_freevars)  # it reads no attribute
    return None if method is None or is_constant else str(data.checksum())


def describe_data(data: Any) -> dict[str, Any]:
    """Return the entries of `result.json` for a data module: its checksum, and whether it is synthetic."""
    spec = find_spec(data)
    return {"data_sha256": compute_checksum(data), "synthetic": bool(spec and spec.synthetic)}


def _is_covered_by_checksum(data: TensorData) -> bool:
    """Return whether all examples come from the splits, which the inherited checksum covers."""
    cls = type(data)
    has_loaders = any(getattr(cls, name) is not getattr(TensorData, name) for name in DATALOADER_METHODS)
    has_reader = cls.read is not TensorData.read and not data._checksum  # `load` may have set a checksum
    return bool(data.splits) and not has_loaders and not has_reader


def compute_checksum_from_config(config: dict[str, Any]) -> str | None:
    """Load the data of a config and return their checksum, or None if that fails.

    Args:
        config: Resolved config of plain containers.
    """
    with isolate_rng():
        try:
            data = instantiate(config["data"], _convert_="all")
            data.prepare_data()
            data.setup("fit")
            return compute_checksum(data)
        except Exception as error:  # user code, and data on another machine, can raise anything
            log.warning(f"warning: cannot compare the data with those of earlier jobs: {first_line(error)}")
            return None


def describe_data_change(config: dict[str, Any], old: str | None, new: str | None) -> list[str]:
    """Return a description of the change of a config's data; empty if a checksum is unknown.

    Args:
        config: Config of plain containers.
        old: Recorded checksum.
        new: Current checksum.
    """
    if not (old and new) or old == new:
        return []
    values = {f"data.{name}": value for name, value in config["data"].items()}
    key = next(key for key in DATA_KEYS if values.get(key))
    return [f"{key}={values[key]}: different examples (SHA-256 was {old[:12]}, is {new[:12]})"]
