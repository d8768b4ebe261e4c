"""Build: from a node of the config to the object it describes, or to a message that names the node."""

from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.trainer.connectors import accelerator_connector
from torch import nn

from trainer.config.monitors import with_modes
from trainer.config.schema import HOME, user_folders
from trainer.core.errors import MismatchError, UserError, blamed_on, cause_of
from trainer.core.metric_direction import measured_by
from trainer.core.spec import DataSpec


def build(config: DictConfig, key: str, *given: Any, **more: Any) -> Any:
    """The object that the node at `key` describes.

    Args:
        config: The whole config.
        key: Dotted, e.g. `"model.task"`.
        *given: Where the node is partial: the arguments that only run time knows, and the call is made with them.
        **more: Added to the node's own arguments.

    Raises:
        UserError: What was built refuses its arguments; the message begins with `key`.
    """
    with blamed_on(key):
        built = instantiate(OmegaConf.select(config, key), _convert_="all", **more)
        return built(*given) if given else built


def build_all(config: DictConfig, group: str) -> list[Any]:
    """The objects of a group whose nodes have names, e.g. all callbacks."""
    return [build(config, f"{group}.{name}") for name in config[group] or {}]


def without_unasked(config: DictConfig, callbacks: list[Any]) -> dict[str, bool]:
    """The Trainer's arguments that keep Lightning from adding a progress bar or a checkpoint that nobody asked for."""
    asked = {"enable_progress_bar": ProgressBar, "enable_checkpointing": Checkpoint}
    unset = {name: kind for name, kind in asked.items() if name not in config.trainer}
    return {name: False for name, kind in unset.items() if not any(isinstance(c, kind) for c in callbacks)}


def build_trainer(config: DictConfig, **more: Any) -> Trainer:
    """Return the Trainer, in a notebook too: there Lightning refuses `ddp`, as it starts processes by a script.

    Args:
        config: The whole config.
        **more: Added to the node's own arguments.

    Raises:
        UserError: Lightning refuses the arguments, or the environment: the tasks of a Slurm job, for example.
    """
    connector: Any = accelerator_connector
    interactive, connector._IS_INTERACTIVE = connector._IS_INTERACTIVE, False
    try:
        made: Trainer = build(config, "trainer", **more)
    except Exception as error:
        if isinstance(cause := cause_of(error), RuntimeError):
            raise UserError(f"trainer: {cause}") from error
        raise
    finally:
        connector._IS_INTERACTIVE = interactive
    return made


def build_net(config: DictConfig, spec: DataSpec) -> nn.Module:
    """The network, told its sizes by the data.

    Raises:
        UserError: It cannot take the data; names the models that can.
    """
    try:
        return build(config, "model.net", spec)
    except MismatchError as error:
        fitting = ", ".join(f"model={name}" for name in models_that_take(spec)) or "no model here"
        blamed = "model: " if str(error).startswith("model '") else ""  # else it names a key by itself
        raise UserError(f"{blamed}{error}\n  data '{spec.name}' goes with: {fitting}") from None


def build_objective(config: DictConfig, spec: DataSpec) -> tuple[Any, DictConfig]:
    """Return the objective, and the config with the modes that go with its metrics, where these are left to them."""
    objective = build(config, "objective", spec)
    return objective, with_modes(config, measured_by(objective))


def models_that_take(spec: DataSpec) -> list[str]:
    """Names of the models in all `conf/model` folders that can be built for this data."""
    names = []
    for folder in [HOME / "conf", *user_folders()]:
        for file in sorted(folder.glob("model/[!.]*.yaml")):
            try:
                with torch.device("meta"):  # shapes only, no memory
                    instantiate(OmegaConf.select(OmegaConf.load(file), "net"), _convert_="all")(spec)
            except Exception:  # a user's model may refuse in any way it likes
                continue
            names.append(file.stem)
    return names
