"""Parameter groups of an optimizer by the names of parameters, for biases and norms, and by layer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any
from weakref import ReferenceType

import torch
from torch import nn
from torch.optim import Optimizer

from trainer.core.errors import UserError, attribute_errors_to, suggest_names

OptimizerFactory = Callable[..., Optimizer]
Options = dict[str, Any]
# keys of `optimizer` that are no arguments of its class, with their defaults
GROUP_SETTINGS: Options = {"groups": None, "decay_biases_and_norms": True, "layer_decay": 1.0}
# keys of a group that are no arguments of the class
PATTERN_KEYS = ("pattern", "lr_factor")
OTHER_PARAMETERS = "rest"  # name of the group of all parameters without special options
CONTAINERS = (nn.Sequential, nn.ModuleList)


class ParameterGroups:
    """Factory of an optimizer with parameter groups. It is called with parameters, like a class of `torch.optim`.

    A group has the options of the first argument, except for its own ones. Its name is in its entry `name`.

    Args:
        factory: Class of the optimizer, with options of all parameters.
        groups: Options by the name of the group. `pattern` selects parameters: a name of a parameter or of a part of
            the network, with the wildcards of `fnmatch`, or a list of them. `lr_factor` multiplies the learning rate.
            Other keys are arguments of the class. Defaults to none.
        decay_biases_and_norms: Whether parameters with fewer than two dimensions have weight decay. A group that sets
            `weight_decay` has it in any case. Defaults to true.
        layer_decay: Factor of the learning rate from each layer to the one before it, in (0, 1]; the last layer has the
            rate of the optimizer. Not applied to groups that set `lr`. Defaults to 1.

    Raises:
        UserError: A setting is invalid. At the call: a pattern matches no parameter, a parameter is in two groups, or
            the class rejects an option.

    Source:
        Clark et al. 2020, ELECTRA, appendix A (layer-wise decay); Bao et al. 2022, BEiT, section 3.1.
    """

    def __init__(
        self,
        factory: OptimizerFactory,
        *,
        groups: Mapping[str, Any] | None = None,
        decay_biases_and_norms: bool = True,
        layer_decay: float = 1.0,
    ) -> None:
        if not 0 < layer_decay <= 1:
            raise UserError(f"optimizer.layer_decay: {layer_decay} is not in (0, 1]")
        self.factory = factory
        self.groups = dict(groups or {})
        self.decay_biases_and_norms = decay_biases_and_norms
        self.layer_decay = layer_decay
        self.module: ReferenceType[nn.Module] | None = None  # set by the run; determines the names of the parameters
        for name, group in self.groups.items():
            _require_valid(f"optimizer.groups.{name}", group)

    def __call__(self, params: Iterable[Any]) -> Optimizer:
        """Return the optimizer of parameters of the module."""
        parameters = [*params]
        if not all(isinstance(parameter, nn.Parameter) for parameter in parameters):
            raise UserError("optimizer: the module chooses its own parameter groups; remove those of the config")
        module = self.module() if self.module else None
        assert module is not None
        members = self._match_patterns({name.removeprefix("net."): item for name, item in module.named_parameters()})
        for name, group in self.groups.items():
            with attribute_errors_to(f"optimizer.groups.{name}"):
                self.factory([nn.Parameter(torch.zeros(1, 1))], **_class_options(group))
        layers = self._number_layers(get_network(module), parameters) if self.layer_decay != 1 else {}
        algorithms = _choose_algorithms(self.factory, get_network(module), parameters)

        groups: dict[str, Options] = {}
        factors: dict[str, float] = {}
        for parameter in parameters:
            label = members.get(id(parameter))
            group = self.groups.get(label or "", {})
            options = algorithms.get(id(parameter), {}) | _class_options(group)
            is_excluded = not self.decay_biases_and_norms and parameter.ndim < 2 and "weight_decay" not in group
            options |= {"weight_decay": 0.0} if is_excluded else {}
            layer = None if "lr" in group else layers.get(id(parameter))
            algorithm = options.get("algorithm")
            labels = (label, algorithm, None if layer is None else f"layer{layer}", "no_decay" if is_excluded else None)
            name = "_".join(filter(None, labels)) or OTHER_PARAMETERS
            groups.setdefault(name, {"params": [], "name": name, **options})["params"].append(parameter)
            factors[name] = group.get("lr_factor", 1.0)
            if layer is not None:
                factors[name] *= self.layer_decay ** (max(layers.values()) - layer)
        optimizer = self.factory([*groups.values()])
        for options in optimizer.param_groups:
            options["lr"] *= factors[options["name"]]
        return optimizer

    def __reduce__(self) -> tuple[Any, ...]:  # Lightning removes hyperparameters without pickle support
        settings = {name: getattr(self, name) for name in GROUP_SETTINGS}
        return partial(ParameterGroups, **settings), (self.factory,)

    def _match_patterns(self, parameters: Mapping[str, nn.Parameter]) -> dict[int, str]:
        """Return the names of the groups by the ids of their parameters."""
        members: dict[int, str] = {}
        for group, settings in self.groups.items():
            for pattern in _list_patterns(settings):
                matched = [name for name in parameters if _matches(name, pattern)]
                if not matched:
                    hint = suggest_names(pattern, [*_list_parts(parameters)])
                    problem = f"no parameter matches '{pattern}'"
                    raise UserError(f"optimizer.groups.{group}.pattern: {problem}\n  {hint}".rstrip())
                for name in matched:
                    other = members.setdefault(id(parameters[name]), group)
                    if other != group:
                        raise UserError(
                            f"optimizer.groups: '{name}' is in '{other}' and in '{group}'; expected one group"
                        )
        return members

    def _number_layers(self, net: nn.Module, parameters: Sequence[nn.Parameter]) -> dict[int, int]:
        """Return the number of the layer of each parameter by its id, from 0."""
        layers = number_layers(net)
        used = sorted({layers[id(parameter)] for parameter in parameters if id(parameter) in layers})
        if len(used) < 2:
            raise UserError(f"optimizer.layer_decay: the network has {len(used)} layer(s); expected 1.0")
        ids = map(id, parameters)
        return {key: used.index(layers[key]) for key in ids if key in layers}


def number_layers(net: nn.Module) -> dict[int, int]:
    """Return the number of the layer of each parameter by its id, from 0, in the order in which `net` defines them.

    The layers are the children of the network, and instead of an `nn.Sequential` or `nn.ModuleList` its children. A
    child without matrices, such as a norm, belongs to the layer before it. Parameters of `net` itself are in layer 0.
    """
    with_parameters = [child for child in net.children() if any(True for _ in child.parameters())]
    if len(with_parameters) == 1 and not [*net.parameters(recurse=False)]:
        return number_layers(with_parameters[0])
    layers = {id(parameter): 0 for parameter in net.parameters(recurse=False)}
    number = -1
    for part in _list_layers(net):
        parameters = [*part.parameters()]
        number += any(parameter.ndim > 1 for parameter in parameters)
        for parameter in parameters:
            layers.setdefault(id(parameter), max(number, 0))
    return layers


def get_network(module: nn.Module) -> nn.Module:
    """Return the network of a task, or the module itself if it has no `net`."""
    net = getattr(module, "net", None)
    return net if isinstance(net, nn.Module) else module


def _list_layers(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, CONTAINERS):
            yield from _list_layers(child)
        else:
            yield child


def _choose_algorithms(
    factory: OptimizerFactory, net: nn.Module, parameters: Sequence[nn.Parameter]
) -> Mapping[int, Options]:
    """Return the option `algorithm` by the ids of parameters if the optimizer has several."""
    if not has_algorithms(factory):
        return {}
    algorithms = _get_class(factory).choose_algorithms(net, parameters)
    return {key: {"algorithm": algorithm} for key, algorithm in algorithms.items()}


def has_algorithms(factory: OptimizerFactory) -> bool:
    """Return whether an optimizer has several algorithms, which it chooses by the layers of the network."""
    return hasattr(_get_class(factory), "choose_algorithms")


def _get_class(factory: OptimizerFactory) -> Any:
    return factory.func if isinstance(factory, partial) else factory


def _require_valid(key: str, group: Any) -> None:
    """Raise a `UserError` for a group without pattern or with an invalid rate."""
    if not isinstance(group, Mapping) or not group.get("pattern"):
        raise UserError(f"{key}: {group!r} has no pattern; expected {{pattern: NAMES, lr: 0.001}}")
    if "lr" in group and "lr_factor" in group:
        raise UserError(f"{key}: lr and lr_factor are both set; expected one of them")
    factor = group.get("lr_factor", 1)
    if not isinstance(factor, int | float) or factor <= 0:
        raise UserError(f"{key}.lr_factor: {factor!r} is not greater than 0")


def _class_options(group: Mapping[str, Any]) -> Options:
    return {name: value for name, value in group.items() if name not in PATTERN_KEYS}


def _list_patterns(group: Mapping[str, Any]) -> list[str]:
    pattern = group["pattern"]
    return [pattern] if isinstance(pattern, str) else [*pattern]


def _matches(name: str, pattern: str) -> bool:
    """Return whether a pattern matches the name of a parameter, or of a part that contains it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _list_parts(names: Iterable[str]) -> dict[str, None]:
    """Return the names of all parts of the network that have parameters, and of the parameters."""
    parts = [name.split(".") for name in names]
    return dict.fromkeys(".".join(part[:end]) for part in parts for end in range(1, len(part) + 1))
