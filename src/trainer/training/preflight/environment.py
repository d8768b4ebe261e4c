"""Machine: what a config asks for and this machine does not have - devices, checkpoints, files, folders to write to."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from trainer.config.diagnostics import Mistake


def mistakes_of_machine(values: dict[str, Any]) -> Iterator[Mistake]:
    """What is not here, beside devices.

    Args:
        values: The whole config, as plain containers.
    """
    yield from _files(values)
    if values["resume"] not in (None, "auto"):
        yield Mistake("resume", f"'{values['resume']}' is neither auto nor null", "for one run: trainer resume RUN")
    if values["train"] is False and values["test"] is False:
        yield Mistake("test", "train=false and test=false leave nothing to do", "test=true")
    elif values["train"] is False and values["ckpt_path"] is None:
        offer = "name it: ckpt_path=outputs/.../checkpoints/best.ckpt"
        yield Mistake("ckpt_path", "train=false tests a checkpoint", offer)


def mistakes_of_devices(trainer: dict[str, Any]) -> Iterator[Mistake]:
    """What devices it has not.

    Args:
        trainer: The config's node of that name.
    """
    kind, wanted = trainer.get("accelerator"), trainer.get("devices")
    if kind in ("gpu", "cuda"):
        have = torch.cuda.device_count()
        if not have:
            yield Mistake("trainer.accelerator", "PyTorch finds no GPU on this machine", "use trainer=cpu")
        elif type(wanted) is int and wanted > have:
            yield Mistake("trainer.devices", f"{wanted} asked for; this machine has {have}", f"trainer.devices={have}")
    if kind == "cpu" and trainer.get("precision") in ("16-mixed", "16-true", "16", 16):
        yield Mistake("trainer.precision", "half precision needs a GPU", "on a CPU bf16-mixed halves as well")


def _files(values: dict[str, Any]) -> Iterator[Mistake]:
    checkpoint, data = values["ckpt_path"], values["data"]
    if checkpoint is not None and not Path(checkpoint).exists():
        yield Mistake("ckpt_path", f"no file '{checkpoint}'")
    elif checkpoint is not None and (Path(checkpoint) / "checkpoints").is_dir():
        offer = f"name a file: ckpt_path={checkpoint}/checkpoints/best.ckpt"
        yield Mistake("ckpt_path", f"'{checkpoint}' is the directory of a run", offer)
    path = data.get("path")
    if isinstance(path, str) and "://" not in path and not data.get("synthetic") and not data.get("mirrors"):
        file = Path(str(data.get("dir", ".")), path)
        if "dir" in data and not file.exists():
            yield Mistake(
                "data.path",
                f"no file or folder '{file}'",
                "data.dir is the folder it lies below, or: data.synthetic=true",
            )
    weights = values["model"]["net"].get("weights")
    begins = values["train"] and checkpoint is None and not values["resume"]  # else they are the checkpoint's
    if begins and isinstance(weights, str) and weights != "imagenet" and not Path(weights).exists():
        yield Mistake("model.net.weights", f"there is no file or directory '{weights}'")
    outputs = Path(str(values["outputs"]))
    there = next(folder for folder in [outputs, *outputs.absolute().parents] if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        why = "is a file, not a folder" if not there.is_dir() else "may not be written to"
        yield Mistake("outputs", f"'{there}' {why}", "name another folder: outputs=DIR")
