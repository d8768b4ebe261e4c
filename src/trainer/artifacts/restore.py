"""Restore: the network of a run that is over, from its directory alone."""

from pathlib import Path

import torch
from hydra.utils import instantiate
from torch import nn

from trainer.errors import UserError
from trainer.spec import DataSpec


def restore(run: Path, checkpoint: str = "last") -> tuple[nn.Module, DataSpec]:
    """Build a run's network again, with the weights of one of its checkpoints; no data are opened for it.

    Args:
        run: The run directory.
        checkpoint: `"last"`, `"best"`, or the name of another one that the run has kept.

    Returns:
        nn.Module: On the CPU, in evaluation mode.
        DataSpec: What its data promised.

    Raises:
        UserError: There is no such run, or it has no such checkpoint.
    """
    if not run.is_dir():
        raise UserError(f"no run directory '{run}'")
    file = run / "checkpoints" / f"{checkpoint}.ckpt"
    if not file.is_file():
        there = ", ".join(sorted(each.stem for each in file.parent.glob("*.ckpt")))
        raise UserError(f"no checkpoint '{file}'; " + (f"there are: {there}" if there else "the run has kept none"))
    content = torch.load(file, map_location="cpu", weights_only=True)
    if "config" not in content:
        raise UserError(f"'{file}' does not hold the config of its run: it is not a checkpoint of this trainer")
    config, weights = content["config"], content["state_dict"]
    spec = instantiate(config["data"], _convert_="all").spec
    net: nn.Module = instantiate(config["model"]["net"], _convert_="all")(spec)
    net.load_state_dict({name[4:]: weights[name] for name in weights if name.startswith("net.")})
    return net.eval(), spec
