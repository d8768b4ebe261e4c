"""Construction of the objects that a config describes."""

from collections.abc import Mapping
from copy import deepcopy
from pkgutil import resolve_name
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar, SpikeDetection
from pytorch_lightning.trainer.connectors import accelerator_connector

from trainer.artifacts.display_callbacks import is_display
from trainer.config.schema import DATASETS_TARGET
from trainer.core.callback import guard_hooks
from trainer.core.errors import UserError, attribute_errors_to, unwrap_instantiation_error


def build(config: DictConfig, key: str, *args: Any, **kwargs: Any) -> Any:
    """Return the object that a node describes.

    Args:
        config: The whole config.
        key: Dotted key of the node, e.g. `"model.net"`.
        *args: Positional arguments of a partial node, which is called if there are any.
        **kwargs: Keyword arguments that replace those of the node.

    Raises:
        UserError: The constructor rejects its arguments; the message starts with `key`.
    """
    with attribute_errors_to(key):
        node = OmegaConf.select(config, key)
        if kwargs:  # of any type, unlike arguments of `instantiate`
            return instantiate(node, _convert_="all", _partial_=True)(**kwargs)
        result = instantiate(node, _convert_="all")
        return result(*args) if args else result


def build_data(config: DictConfig) -> LightningDataModule:
    """Return the data module; a node `data` without `_target_` contains a data set or loader for each stage.

    Raises:
        UserError: The constructor rejects its arguments, or the object is no LightningDataModule.
    """
    if "_target_" not in config.data:
        config = deepcopy(config)
        OmegaConf.update(config, "data._target_", DATASETS_TARGET, force_add=True)
    data = build(config, "data")
    if not isinstance(data, LightningDataModule):
        target = config.data._target_
        raise UserError(
            f"data: {target} is no LightningDataModule of pytorch_lightning\n  "
            f"name a data set or a loader for each stage: data=datasets +data.train._target_={target}"
        )
    return data


def add_inferred_settings(config: DictConfig) -> DictConfig:
    """Return the config with the settings that its data module found in the files, so that a repetition has the same.

    Args:
        config: The whole config.
    """
    target = config.data.get("_target_", DATASETS_TARGET)
    if not hasattr(resolve_name(target), "inferred_settings"):  # a user's data module may be expensive to build
        return config
    inferred: Mapping[str, Any] = build(config, "data").inferred_settings
    config = deepcopy(config)
    for name, value in inferred.items():
        OmegaConf.update(config, f"data.{name}", value, force_add=True)
    return config


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
        **kwargs: Keyword arguments that replace those of the node.

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
