"""Construction of the objects that a config describes."""

from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar, SpikeDetection
from pytorch_lightning.trainer.connectors import accelerator_connector
from torch import nn

from trainer.artifacts.display_callbacks import is_display
from trainer.config.monitors import resolve_monitor_modes
from trainer.config.schema import RESOURCE_DIR, find_user_config_dirs
from trainer.core.callback import guard_hooks
from trainer.core.errors import MismatchError, UserError, attribute_errors_to, unwrap_instantiation_error
from trainer.core.metric_direction import collect_metric_directions
from trainer.core.spec import DataSpec


def build(config: DictConfig, key: str, *args: Any, **kwargs: Any) -> Any:
    """Return the object that a node describes.

    Args:
        config: The whole config.
        key: Dotted key of the node, e.g. `"model.task"`.
        *args: Positional arguments of a partial node, which is called if there are any.
        **kwargs: Keyword arguments in addition to those of the node.

    Raises:
        UserError: The constructor rejects its arguments; the message starts with `key`.
    """
    with attribute_errors_to(key):
        result = instantiate(OmegaConf.select(config, key), _convert_="all", **kwargs)
        return result(*args) if args else result


def build_all(config: DictConfig, group: str) -> list[Any]:
    """Return the objects of a group with named nodes, e.g. all callbacks."""
    return [build(config, f"{group}.{name}") for name in config[group] or {}]


def build_callbacks(config: DictConfig) -> list[Any]:
    """Return all callbacks; those that only display something cannot stop a run."""
    callbacks = build_all(config, "callbacks")
    for name, callback in zip(config.callbacks or {}, callbacks, strict=True):
        if isinstance(callback, SpikeDetection):
            vars(callback)["running"] = callback.running_mean  # `load_state_dict` of Lightning 2.6 reads this name
        if is_display(callback):
            guard_hooks(callback, name)
    return callbacks


def disable_default_callbacks(config: DictConfig, callbacks: list[Any]) -> dict[str, bool]:
    """Return the Trainer arguments that prevent Lightning from adding its default progress bar and checkpoint."""
    classes = {"enable_progress_bar": ProgressBar, "enable_checkpointing": Checkpoint}
    unset = {name: cls for name, cls in classes.items() if name not in config.trainer}
    return {name: False for name, cls in unset.items() if not any(isinstance(item, cls) for item in callbacks)}


def build_trainer(config: DictConfig, **kwargs: Any) -> Trainer:
    """Return the Trainer. In a notebook too, where Lightning rejects `ddp` because it starts processes by a script.

    Args:
        config: The whole config.
        **kwargs: Keyword arguments in addition to those of the node.

    Raises:
        UserError: Lightning rejects the arguments or the environment, such as the tasks of a Slurm job.
    """
    connector: Any = accelerator_connector
    is_interactive = connector._IS_INTERACTIVE
    connector._IS_INTERACTIVE = False
    try:
        trainer: Trainer = build(config, "trainer", **kwargs)
    except Exception as error:
        if isinstance(cause := unwrap_instantiation_error(error), RuntimeError):
            raise UserError(f"trainer: {cause}") from error
        raise
    finally:
        connector._IS_INTERACTIVE = is_interactive
    return trainer


def build_net(config: DictConfig, spec: DataSpec) -> nn.Module:
    """Return the network for some data.

    Raises:
        UserError: The network does not accept the data; the message lists compatible models.
    """
    try:
        return build(config, "model.net", spec)
    except MismatchError as error:
        models = ", ".join(f"model={name}" for name in find_compatible_models(spec)) or "no model"
        prefix = "model: " if str(error).startswith("model '") else ""  # else the message starts with a key
        raise UserError(f"{prefix}{error}\n  data '{spec.name}' is compatible with: {models}") from None


def build_objective(config: DictConfig, spec: DataSpec) -> tuple[Any, DictConfig]:
    """Return the objective, and the config with all unset monitor modes set to those of its metrics."""
    objective = build(config, "objective", spec)
    return objective, resolve_monitor_modes(config, collect_metric_directions(objective))


def find_compatible_models(spec: DataSpec) -> list[str]:
    """Return the names of the models in all `conf/model` directories that can be built for this data."""
    names = []
    for directory in [RESOURCE_DIR / "conf", *find_user_config_dirs()]:
        for file in sorted(directory.glob("model/[!.]*.yaml")):
            try:
                with torch.device("meta"):  # allocates no memory
                    instantiate(OmegaConf.select(OmegaConf.load(file), "net"), _convert_="all")(spec)
            except Exception:  # user code may raise anything
                continue
            names.append(file.stem)
    return names
