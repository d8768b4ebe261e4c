"""Checks of devices, checkpoints, files and directories that a config requires on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from trainer.config.diagnostics import Diagnostic
from trainer.core.override_format import format_override
from trainer.data.io.data_path import find_path

MAX_SEED = 2**32 - 1  # of NumPy


def check_environment(values: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield an error for each missing file, and for an invalid mode or seed of a run.

    Args:
        values: The whole config, as plain containers.
    """
    yield from _check_files(values)
    if not 0 <= values["seed"] <= MAX_SEED:
        yield Diagnostic("seed", f"{values['seed']} is out of range", f"expected 0 to {MAX_SEED}")
    if values["resume"] not in (None, "auto"):
        yield Diagnostic("resume", f"'{values['resume']}' is neither auto nor null", "for one run: trainer resume RUN")
    if values["train"] is False and values["test"] is False:
        yield Diagnostic("test", "nothing to do with train=false and test=false", "test=true")
    elif values["train"] is False and values["ckpt_path"] is None:
        hint = "set ckpt_path=outputs/.../checkpoints/best.ckpt"
        yield Diagnostic("ckpt_path", "train=false requires a checkpoint", hint)


def check_devices(trainer: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield an error for each device that this machine does not have.

    Args:
        trainer: The config's node `trainer`.
    """
    accelerator = trainer.get("accelerator")
    devices = trainer.get("devices")
    if accelerator in ("gpu", "cuda"):
        available = torch.cuda.device_count()
        if not available:
            yield Diagnostic("trainer.accelerator", "PyTorch finds no GPU on this machine", "use trainer=cpu")
        elif type(devices) is int and devices > available:
            problem = f"{devices} GPUs requested; this machine has {available}"
            yield Diagnostic("trainer.devices", problem, f"trainer.devices={available}")
    if accelerator == "cpu" and trainer.get("precision") in ("16-mixed", "16-true", "16", 16):
        yield Diagnostic("trainer.precision", "half precision requires a GPU", "on a CPU use bf16-mixed")


def _check_files(values: dict[str, Any]) -> Iterator[Diagnostic]:
    checkpoint = values["ckpt_path"]
    if checkpoint is not None and not Path(checkpoint).exists():
        yield Diagnostic("ckpt_path", f"no file '{checkpoint}'")
    elif checkpoint is not None and (Path(checkpoint) / "checkpoints").is_dir():
        hint = f"name a file: {format_override('ckpt_path', f'{checkpoint}/checkpoints/best.ckpt')}"
        yield Diagnostic("ckpt_path", f"'{checkpoint}' is the directory of a run", hint)
    data = values["data"]
    path = data.get("path")
    if isinstance(path, str) and "://" not in path and not data.get("synthetic") and not data.get("mirrors"):
        file = find_path(path, str(data.get("dir", ".")))
        if "dir" in data and not file.exists():
            hint = "expected a path relative to the working directory or to data.dir"
            alternative = ", or: data.synthetic=true" if values["train"] else ""
            yield Diagnostic("data.path", f"no file or directory '{file}'", hint + alternative)
    net = values["model"].get("net")
    weights = net.get("weights") if isinstance(net, dict) else None
    is_fresh = values["train"] and checkpoint is None and not values["resume"]  # else the checkpoint has the weights
    if is_fresh and isinstance(weights, str) and weights != "imagenet" and not Path(weights).exists():
        yield Diagnostic("model.net.weights", f"there is no file or directory '{weights}'")
    outputs = Path(str(values["outputs"]))
    existing = next(path for path in [outputs, *outputs.absolute().parents] if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        problem = "is a file, not a directory" if not existing.is_dir() else "is not writable"
        yield Diagnostic("outputs", f"'{existing}' {problem}", "choose another directory: outputs=DIR")
