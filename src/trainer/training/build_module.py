"""Construction of the LightningModule of a config, with the parts that its constructor requires."""

import inspect
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pkgutil import resolve_name
from typing import Any
from weakref import ref

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import LightningModule
from torch import nn

from trainer.config.monitors import resolve_monitor_modes
from trainer.config.schema import MODULE_PARTS, MONITOR_KEY, RESOURCE_DIR, find_user_config_dirs
from trainer.core.errors import MismatchError, UserError, attribute_errors_to
from trainer.core.metric_direction import collect_metric_directions
from trainer.core.spec import DataSpec
from trainer.task.parameter_groups import ParameterGroups
from trainer.task.schedulers import OPTIONS_ATTRIBUTE
from trainer.training.build import build
from trainer.training.build_optimizer import build_optimizer, build_scheduler

Parts = dict[str, Any]  # arguments of the LightningModule that the run builds, by name


def find_required_parts(target: str) -> set[str]:
    """Return the names in `MODULE_PARTS` that a class requires, or that default to None and are no strings."""
    parameters = _read_parameters(resolve_name(target))
    return {name for name in MODULE_PARTS if name in parameters and _takes_object(parameters[name])}


def find_ignored_keys(target: str) -> set[str]:
    """Return the keys of `model` that a class takes no argument for, and that are valid nevertheless.

    `net` is left over from a model file if its LightningModule is replaced by one that builds its own network.
    """
    parameters = _read_parameters(resolve_name(target))
    accepts_any = any(item.kind is item.VAR_KEYWORD for item in parameters.values())
    return {MONITOR_KEY, "net"} - parameters.keys() - ({"net"} if accepts_any else set())


def _read_parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, or of a class and of the base classes that receive its `**kwargs`."""
    if not inspect.isclass(target):
        return dict(inspect.signature(target).parameters)
    parameters: dict[str, inspect.Parameter] = {}
    for cls in target.__mro__:
        if "__init__" in vars(cls):
            own = inspect.signature(vars(cls)["__init__"]).parameters
            parameters = {**own, **parameters}
            if not any(item.kind is item.VAR_KEYWORD for item in own.values()):
                break
    return parameters


def _takes_object(parameter: inspect.Parameter) -> bool:
    is_optional = parameter.default is None and not re.search(r"\bstr\b", str(parameter.annotation))
    return parameter.default is parameter.empty or is_optional


def build_parts(config: DictConfig, spec: DataSpec | None) -> Parts:
    """Return the parts that the LightningModule of a config requires.

    A part that `model` sets is left to the LightningModule's own node, except for its network.

    Args:
        config: The whole config.
        spec: Spec of the data; None if they have none.

    Raises:
        UserError: A part cannot be built, or needs the spec of data that have none.
    """
    names = find_required_parts(config.model._target_)
    parts: Parts = {}
    if "net" in names and "_target_" in (OmegaConf.select(config, "model.net") or ()):
        parts["net"] = build_net(config, spec)
    if "objective" in names and "objective" not in config.model:
        parts["objective"] = build_with_spec(config, "objective", spec)
    for key, build_part in (("optimizer", build_optimizer), ("scheduler", build_scheduler)):
        if key in names and key not in config.model:
            parts[key] = build_part(config)
    if "spec" in names and "spec" not in config.model:
        parts["spec"] = _require_spec(config, "model", spec)
    return parts


def build_module(config: DictConfig, parts: Mapping[str, Any]) -> LightningModule:
    """Return the LightningModule of a config.

    Args:
        config: The whole config.
        parts: Result of `build_parts`.

    Raises:
        UserError: The constructor rejects its arguments, or the object is no LightningModule.
    """
    target = config.model._target_
    config = deepcopy(config)  # keeps interpolations, unlike a copy of the node
    with open_dict(config.model):
        for name in {*parts, *find_ignored_keys(target)}:
            config.model.pop(name, None)
    with attribute_errors_to("model"):
        module = instantiate(config.model, _convert_="all", _partial_=True)(**parts)
    if not isinstance(module, LightningModule):
        hint = f"to train a network: model=custom model._target_=trainer.Supervised +model.net._target_={target}"
        raise UserError(f"model: {target} is no LightningModule of pytorch_lightning\n  {hint}")
    if isinstance(parts.get("optimizer"), ParameterGroups):
        parts["optimizer"].module = ref(module)
    for name in vars(parts.get("scheduler", module)).get(OPTIONS_ATTRIBUTE, ()):
        if not hasattr(module, "make_scheduler"):
            raise UserError(f"scheduler.{name}: has no effect: {target} configures when its schedule changes")
    return module


def build_net(config: DictConfig, spec: DataSpec | None) -> nn.Module:
    """Return the network of a config; a node with `_partial_: true` receives the spec of the data.

    Raises:
        UserError: The network does not accept the data; the message lists compatible models.
    """
    try:
        net: nn.Module = build_with_spec(config, "model.net", spec)
    except MismatchError as error:
        if spec is None:
            raise
        models = ", ".join(f"model={name}" for name in find_compatible_models(spec)) or "no model"
        prefix = "model: " if str(error).startswith("model '") else ""  # else the message starts with a key
        raise UserError(f"{prefix}{error}\n  data '{spec.name}' is compatible with: {models}") from None
    return net


def build_with_spec(config: DictConfig, key: str, spec: DataSpec | None) -> Any:
    """Return the object of a node; one with `_partial_: true` receives the spec of the data."""
    if not OmegaConf.select(config, key).get("_partial_"):
        return build(config, key)
    return build(config, key, _require_spec(config, key, spec))


def _require_spec(config: DictConfig, key: str, spec: DataSpec | None) -> DataSpec:
    if spec is not None:
        return spec
    target = OmegaConf.select(config, key)._target_
    data = config.data.get("_target_", "data")
    raise UserError(
        f"{key}: {target} needs the sizes of the data, but {data} has no attribute `spec`\n  "
        "add one (a trainer.DataSpec), or name a class that needs no spec, without _partial_: true"
    )


def resolve_modes(config: DictConfig, parts: Mapping[str, Any]) -> DictConfig:
    """Return the config with all unset monitor modes set to those of the objective's metrics."""
    return resolve_monitor_modes(config, collect_metric_directions(parts.get("objective")))


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
