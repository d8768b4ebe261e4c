"""Restore: a network and all that it needs, from a checkpoint alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from torch import nn

from trainer.artifacts.change_detection import warn_of_changed_code
from trainer.config.target_allowlist import require
from trainer.core.checksummed_file import load
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.core.target_scale import TargetScale
from trainer.data.preprocessing.base import Preprocessing, restored
from trainer.model.pretrained import weights_given_later

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
        target_scale: The scale by which the network's outputs are in the units of the targets; None if it has none.
    """

    file: Path
    net: nn.Module
    spec: DataSpec
    preprocessing: Preprocessing | None
    config: dict[str, Any]
    metrics: dict[str, float]
    provenance: dict[str, Any]
    target_scale: TargetScale | None = None


def restore(path: Path, checkpoint: str = "best", trusted: str = "") -> Restored:
    """Build a network again with the weights of a checkpoint; no data are opened for it, and no other file.

    Args:
        path: A checkpoint, or a run directory.
        checkpoint: Of a run directory: `"last"`, `"best"`, or the name of another one that the run has kept.
        trusted: Comma-separated packages whose code the checkpoint's config may name, in addition to the ones that
            `trainer.config.target_allowlist` lists.

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
        learned_in = content.get("target_scale")  # Supervised alone writes it
        scale = TargetScale.from_state(learned_in) if learned_in else None
        if scale:
            scale.attach(net)
    except UserError:
        raise
    except Exception as error:  # whatever code of another version raises
        cause: BaseException = error.__cause__ or error
        reason = "\n  ".join(line.strip() for line in str(cause).splitlines()[:3])
        raise UserError(f"'{file}' does not fit this version of the code:\n  {reason}") from error
    config, metrics, provenance = (content[name] for name in ("config", "metrics", "provenance"))
    return Restored(file, net.eval(), spec, preprocessing, config, metrics, provenance, scale)


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
    content = load(file)
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
