"""Checksum of the examples of a data module, and detection of changed data."""

import logging
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from hydra.utils import instantiate
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities.seed import isolate_rng

from trainer.artifacts.change_detection import DATA_KEYS
from trainer.artifacts.example_checksum import hash_examples
from trainer.config.schema import DATASETS_TARGET
from trainer.core.callback import has_hook
from trainer.core.errors import first_line
from trainer.core.spec import find_spec
from trainer.data.base import TensorData

log = logging.getLogger(__name__)

DATALOADER_METHODS = ("train_dataloader", "val_dataloader", "test_dataloader")


_example_checksums: WeakKeyDictionary[Any, str | None] = WeakKeyDictionary()  # by data module


def has_own_checksum(data: Any) -> bool:
    """Return whether a data module has a method `checksum` that depends on all of its examples.

    Args:
        data: Data module after its `setup`.
    """
    method = getattr(type(data), "checksum", None)
    if method is TensorData.checksum:
        return _is_covered_by_checksum(data)
    code = getattr(method, "__code__", None)
    is_constant = code is not None and not (code.co_names or code.co_freevars)  # it reads no attribute
    return method is not None and not is_constant


def compute_checksum(data: Any) -> str | None:
    """Return the checksum of a data module, or that of its examples; None if it is not known.

    Args:
        data: Data module after its `setup`.
    """
    return str(data.checksum()) if has_own_checksum(data) else _example_checksums.get(data)


def compute_example_checksum(data: Any, loaders: Mapping[str, Any]) -> str | None:
    """Return the checksum of the examples in loaders, for a data module without an own one; None if it is not known.

    Args:
        data: Data module; `compute_checksum` returns the same value for it afterwards.
        loaders: Its loaders by stage.
    """
    _example_checksums[data] = hash_examples(loaders)
    return _example_checksums[data]


def list_loaders(data: Any, **existing: Any) -> dict[str, Any]:
    """Return the loaders for training and validation by stage, if there are any.

    Args:
        data: Data module; its methods create the loaders that do not exist.
        **existing: Loaders by stage; None if they do not exist.
    """
    loaders = {stage: existing.get(stage) for stage in ("train", "val")}
    with isolate_rng():
        for stage, loader in loaders.items():
            name = f"{stage}_dataloader"
            if loader is None and has_hook(data, name, LightningDataModule):
                loaders[stage] = getattr(data, name)()
    return {stage: loader for stage, loader in loaders.items() if loader is not None}


def describe_data(data: Any) -> dict[str, Any]:
    """Return the entries of `result.json` for a data module: its checksum, its sizes, and whether it is synthetic."""
    spec = find_spec(data)
    entries: dict[str, Any] = {"data_sha256": compute_checksum(data), "synthetic": bool(spec and spec.synthetic)}
    if isinstance(data, TensorData):
        entries["examples"] = {stage: len(split.targets) for stage, split in data.splits.items()}
        if data.pooled_examples is not None:
            entries["pooled_examples"] = data.pooled_examples
    return entries


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
            data = instantiate(_add_target(config["data"]), _convert_="all")
            data.prepare_data()
            data.setup("fit")
            if has_own_checksum(data):
                return str(data.checksum())
            return hash_examples(list_loaders(data))
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
    values = {f"data.{name}": value for name, value in _add_target(config["data"]).items()}
    key = next(key for key in DATA_KEYS if values.get(key))
    return [f"{key}={values[key]}: different examples (SHA-256 was {old[:12]}, is {new[:12]})"]


def _add_target(node: dict[str, Any]) -> dict[str, Any]:
    """Return a node `data` with its class, which is not recorded if the node contains data sets by stage."""
    return {"_target_": DATASETS_TARGET, **node}
