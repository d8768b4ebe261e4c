"""Restore: a network and all that it needs, from a checkpoint alone."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from hydra.utils import instantiate
from torch import nn

from trainer.artifacts.changes import warn_of_changed_code
from trainer.data.preprocessing.base import Preprocessing, restored
from trainer.errors import UserError, first_line
from trainer.model.pretrained import weights_given_later
from trainer.spec import DataSpec
from trainer.trust import require

FOREIGN = "it is not a checkpoint of this trainer"


@dataclass(frozen=True)
class Restored:
    """What a checkpoint holds, built again.

    Args:
        file: It was read from.
        net: On the CPU, in evaluation mode.
        spec: What its data promised.
        preprocessing: From a user's files to what the network takes; None where its data set does not say.
        config: Every value that its run used.
        metrics: Those logged when it was saved.
        provenance: Command, commit, versions, run directory, checksum of the data.
    """

    file: Path
    net: nn.Module
    spec: DataSpec
    preprocessing: Preprocessing | None
    config: dict[str, Any]
    metrics: dict[str, float]
    provenance: dict[str, Any]


def restore(path: Path, checkpoint: str = "best", trusted: str = "") -> Restored:
    """Build a network again with the weights of a checkpoint; no data are opened for it, and no other file.

    Args:
        path: A checkpoint, or a run directory.
        checkpoint: Of a run directory: `"last"`, `"best"`, or the name of another one that the run has kept.
        trusted: Packages, with commas between them, whose code the checkpoint's config may name: `trainer.trust`.

    Raises:
        UserError: There is no such checkpoint; it is damaged, of another program, or names code that is not trusted.
    """
    file = checkpoint_file(path, checkpoint)
    content = read_checkpoint(file, trusted)
    weights = content["state_dict"]
    warn_of_changed_code(content["provenance"].get("code") or {}, f"the checkpoint '{file}'")
    try:
        spec, state = DataSpec(**content["spec"]), content["preprocessing"]
        with weights_given_later():
            net: nn.Module = instantiate(content["config"]["model"]["net"], _convert_="all")(spec)
        net.load_state_dict({name[4:]: weights[name] for name in weights if name.startswith("net.")})
        preprocessing = restored(state) if state else None
    except UserError:
        raise
    except Exception as error:  # whatever code of another version raises
        cause: BaseException = error.__cause__ or error
        reason = "\n  ".join(line.strip() for line in str(cause).splitlines()[:3])
        raise UserError(f"'{file}' does not fit this version of the code:\n  {reason}") from error
    return Restored(file, net.eval(), spec, preprocessing, content["config"], content["metrics"], content["provenance"])


def checkpoint_file(path: Path, checkpoint: str = "best") -> Path:
    """The checkpoint that is meant by its own path, or by its run directory and its name there.

    Raises:
        UserError: There is none; says which there are.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"no checkpoint and no run directory '{path}'")
    file = path / "checkpoints" / f"{checkpoint}.ckpt"
    if not file.is_file():
        there = ", ".join(sorted(each.stem for each in file.parent.glob("*.ckpt")))
        raise UserError(f"no checkpoint '{file}'; " + (f"there are: {there}" if there else "the run has kept none"))
    return file


def read_checkpoint(file: Path, trusted: str = "") -> dict[str, Any]:
    """What stands in a checkpoint; no code of it is run, and all the code that it names is trusted.

    Raises:
        UserError: It is damaged, of another program, or names code that is not trusted.
    """
    damaged = f"'{file}' is damaged, or no checkpoint at all"
    try:
        with ZipFile(file) as records:  # as all of PyTorch's files are; it does not look at their checksums itself
            if changed := records.testzip():
                raise UserError(f"{damaged} ({changed} is not what was written)")
        content = torch.load(file, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(f"'{file}' holds more than numbers and names: {FOREIGN}") from error
    except OSError as error:
        raise UserError(f"'{file}' cannot be read: {error}") from error
    except Exception as error:  # whatever a damaged file makes PyTorch raise
        reason = first_line(error)
        raise UserError(f"{damaged} ({reason})") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise UserError(f"'{file}' does not hold the config of its run: {FOREIGN}")
    if absent := [
        key for key in ("state_dict", "spec", "preprocessing", "metrics", "provenance") if key not in content
    ]:
        raise UserError(f"'{file}' does not hold its {', '.join(absent)}: {FOREIGN}, or of an earlier version")
    state = content["preprocessing"] or {}
    made = {"preprocessing": {"_target_": state["_target_"]}} if "_target_" in state else {}
    require(content["config"] | made, file, trusted)
    return content
