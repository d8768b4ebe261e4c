"""Data of a run: the checksum of their examples, if the data module has one that depends on them."""

import logging
from typing import Any

from hydra.utils import instantiate
from pytorch_lightning.utilities.seed import isolate_rng

from trainer.artifacts.change_detection import DATA_KEYS
from trainer.core.errors import first_line
from trainer.data.base import TensorData

log = logging.getLogger(__name__)

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def known_checksum(data: Any) -> str | None:
    """Return the checksum of a data module, or None if it has none that depends on what the module holds.

    Args:
        data: Any data module, after its `setup`.
    """
    method = getattr(type(data), "checksum", None)
    if method is TensorData.checksum:
        return str(data.checksum()) if _is_complete(data) else None
    code = getattr(method, "__code__", None)
    is_constant = code is not None and not (code.co_names or code.co_freevars)  # it asks for nothing
    return None if method is None or is_constant else str(data.checksum())


def facts_of(data: Any) -> dict[str, Any]:
    """Return what `result.json` tells of a data module: its checksum, and whether its examples are made up."""
    return {"data_sha256": known_checksum(data), "synthetic": data.spec.synthetic}


def _is_complete(data: TensorData) -> bool:
    """Whether all that is given out is in the splits, which the inherited checksum covers."""
    kind = type(data)
    loads = any(getattr(kind, name) is not getattr(TensorData, name) for name in LOADERS)
    reads = kind.read is not TensorData.read and not data._checksum  # `load` may have found a checksum of its own
    return bool(data.splits) and not loads and not reads


def current_checksum(config: dict[str, Any]) -> str | None:
    """Return the checksum of the data that a config names, which are loaded for this; None if it cannot be told.

    Args:
        config: Resolved, as plain containers.
    """
    with isolate_rng():
        try:
            data = instantiate(config["data"], _convert_="all")
            data.prepare_data()
            data.setup("fit")
            return known_checksum(data)
        except Exception as error:  # whatever data on another machine, or code of the user's, may raise
            log.warning(f"warning: the data cannot be compared with those of earlier jobs: {first_line(error)}")
            return None


def changed_data(config: dict[str, Any], before: str | None, now: str | None) -> list[str]:
    """Return what has changed in the data of a config, in words; nothing if a checksum is not known.

    Args:
        config: As plain containers.
        before: Checksum then.
        now: Checksum today.
    """
    if not (before and now) or before == now:
        return []
    values = {f"data.{name}": value for name, value in config["data"].items()}
    key = next(key for key in DATA_KEYS if values.get(key))
    return [f"{key}={values[key]}: other examples (SHA-256 {before[:12]} before, {now[:12]} now)"]
