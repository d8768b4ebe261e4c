"""Construction of the factories of optimizer and schedule, with settings that are no arguments of their classes."""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from pkgutil import resolve_name
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from trainer.task.parameter_groups import GROUP_SETTINGS, OptimizerFactory, ParameterGroups, has_algorithms
from trainer.task.schedulers import OPTIONS_ATTRIBUTE, SchedulerFactory
from trainer.training.build import build


def find_own_settings(key: str, target: str) -> set[str]:
    """Return the keys of a node that are settings of the run instead of arguments of its target.

    Args:
        key: `optimizer` or `scheduler`; other nodes have no such settings.
        target: Dotted path of the class or function.
    """
    if key == "optimizer":
        return {*GROUP_SETTINGS}
    cls = resolve_name(target) if key == "scheduler" else None
    if not (inspect.isclass(cls) and issubclass(cls, LRScheduler)):
        return set()
    return {"interval", "monitor"} if issubclass(cls, ReduceLROnPlateau) else {"interval"}


def build_optimizer(config: DictConfig) -> OptimizerFactory:
    """Return the factory of the optimizer, which makes parameter groups if the config has settings of them.

    Raises:
        UserError: A setting is invalid.
    """
    factory, settings = _build_without_settings(config, "optimizer")
    is_grouped = any(settings.get(name, default) not in (default, {}) for name, default in GROUP_SETTINGS.items())
    return ParameterGroups(factory, **settings) if is_grouped or has_algorithms(factory) else factory


def build_optimizer_of_no_network(config: DictConfig) -> Optimizer:
    """Return the optimizer of a config for a single matrix, without parameter groups, to check its arguments."""
    factory = build_optimizer(config)
    factory = factory.factory if isinstance(factory, ParameterGroups) else factory
    return factory([nn.Parameter(torch.zeros(1, 1))])


def build_scheduler(config: DictConfig) -> SchedulerFactory:
    """Return the factory of the schedule; its attribute `lightning_options` contains interval and metric, if set."""
    factory, settings = _build_without_settings(config, "scheduler")
    if settings:
        setattr(factory, OPTIONS_ATTRIBUTE, settings)
    return factory


def _build_without_settings(config: DictConfig, key: str) -> tuple[Any, Mapping[str, Any]]:
    """Return the object of a node, and the settings of the run in this node."""
    node = config[key]
    names = find_own_settings(key, node._target_) & {*node}
    if not names:
        return build(config, key), {}
    settings: Any = OmegaConf.to_container(OmegaConf.masked_copy(node, [*names]), resolve=True)
    config = deepcopy(config)
    with open_dict(config):
        for name in names:
            del config[key][name]
    return build(config, key), settings
