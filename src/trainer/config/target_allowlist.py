"""Allow-list of the code that a recorded config, from a checkpoint or a run directory, may name in `_target_`.

Building a config executes the code that it names. A config on the command line is the user's own, but a checkpoint or a
run directory may come from anywhere. It may name only

- networks, data modules, tasks, callbacks, optimizers, schedulers, loggers, preprocessing and strategies of PyTorch,
  Lightning and this package;
- code that is defined in packages that the user has declared with `--trust my_package` or the environment variable
  `TRAINER_TRUST`;
- the code of a run that the user has started in the same working directory (`trainer.artifacts.config_signature`).

This is no sandbox: such a config still determines which files are read and, in `trainer test`, which files are written.
"""

import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pkgutil import resolve_name
from typing import Any

from trainer.config.environment_values import OWN_PREFIX, PROJECT_VARIABLES, reads_only_environment
from trainer.config.import_path import add_working_directory
from trainer.config.schema import ROOT_KEYS, find_targets
from trainer.core.errors import UserError
from trainer.core.mappings import is_within

NodePath = tuple[str | int, ...]
TRUST_ENV_VAR = "TRAINER_TRUST"
TRUSTED_PACKAGES = ("trainer", "torch.nn", "torch.optim", "torchvision", "torchmetrics", "pytorch_lightning")
# base classes of what a config names; other classes of the trusted packages are not allowed
ROLES = (
    "torch.nn.Module",  # networks, losses, metrics, transforms and LightningModules
    "torch.optim.Optimizer",
    "torch.optim.lr_scheduler.LRScheduler",
    "pytorch_lightning.LightningDataModule",
    "pytorch_lightning.Callback",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.loggers.Logger",
    "pytorch_lightning.strategies.Strategy",
    "trainer.data.preprocessing.base.Preprocessing",
    "trainer.task.losses.Penalty",
)
ROLE_NAMES = "network, data module, task, callback, optimizer, scheduler, logger, preprocessing or strategy"
# modules whose functions are allowed, in addition to classes
FACTORY_MODULES = ("trainer.task.objective", "trainer.task.schedulers", "trainer.callbacks.finite_loss")
# modules with classes that build any object that their arguments name
BLOCKED_MODULES = ("pytorch_lightning.cli", "pytorch_lightning.callbacks.lambda_function")
# packages with functions that build any object that their arguments name; they cannot be declared
FACTORY_PACKAGES = ("hydra", "omegaconf", "hydra_plugins")
TARGET_PATTERN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
# references to other keys, and resolvers that read neither the environment nor other objects
PACKAGED_VARIABLES = "|".join([rf"{OWN_PREFIX}\w+", *PROJECT_VARIABLES, "MLFLOW_TRACKING_URI"])
SAFE_INTERPOLATION = re.compile(
    rf"\$\{{(?:\s*(?:hydra|now|oc\.select):|oc\.env:(?:{PACKAGED_VARIABLES})[,}}]|[\w.\[\]]+\}})"
)
INTERPOLATION_REASON = "interpolation in a recorded config"
# interpolations of the packaged config that are allowed in any config, by key
PACKAGED_INTERPOLATIONS: dict[NodePath, re.Pattern[str]] = {
    ("logger", "mlflow", "tracking_uri"): re.compile(r"\$\{oc\.env:MLFLOW_TRACKING_URI,'[^'$]*'\}")
}
UNDECLARED_REASON = "package is not declared as trusted"
NO_CLASS_REASON = "not a class of a trusted package"

Violation = tuple[str, str, str]  # key, target, reason


def get_trusted_packages(packages: str | Iterable[str] = ()) -> tuple[str, ...]:
    """Return the packages that the user has declared, in `TRAINER_TRUST` and in `packages`.

    Args:
        packages: Names, or a comma-separated string. Defaults to none.
    """
    names = packages.split(",") if isinstance(packages, str) else [*packages]
    return tuple(filter(None, (name.strip() for name in [*os.environ.get(TRUST_ENV_VAR, "").split(","), *names])))


def find_untrusted_targets(config: Any, trusted: Iterable[str] = ()) -> Iterator[Violation]:
    """Yield the disallowed targets of a config. Nothing is built, and no untrusted module is imported.

    Args:
        config: Plain containers.
        trusted: Packages that the user has declared. Defaults to none.

    Yields:
        Violation: Dotted key of the node, its target, and the reason.
    """
    for path, target, reason in find_untrusted_nodes(config, tuple(trusted)):
        names = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path)
        yield names.removeprefix("."), target, reason


def find_untrusted_nodes(
    config: Any, trusted: tuple[str, ...] = (), path: NodePath = ()
) -> Iterator[tuple[NodePath, str, str]]:
    """Yield the path of each node with a disallowed target or an interpolation, its text, and the reason.

    Args:
        config: Plain containers.
        trusted: Packages that the user has declared. Defaults to none.
        path: Keys and indices of the config. Defaults to the root.
    """
    if isinstance(config, dict):
        if "_target_" in config and (reason := _get_rejection_reason(config["_target_"], trusted)):
            yield path, str(config["_target_"]), reason
        for name, child in config.items():
            yield from find_untrusted_nodes(child, trusted, (*path, str(name)))
    elif isinstance(config, list | tuple):
        for index, child in enumerate(config):
            yield from find_untrusted_nodes(child, trusted, (*path, index))
    elif isinstance(config, str) and "${" in config:  # a resolver may insert another target
        pattern = PACKAGED_INTERPOLATIONS.get(path)
        if not (pattern and pattern.fullmatch(config)):
            yield path, config, INTERPOLATION_REASON


def require_trusted_config(
    config: Mapping[str, Any], source: object, trusted: str | Iterable[str] = (), *, is_own: bool = False
) -> None:
    """Refuse a recorded config with other root keys than those of a config, or that names undeclared code.

    Args:
        config: Complete config of a run, as plain containers.
        source: File that contains the config, for the message.
        trusted: See `require_trusted_targets`.
        is_own: See `require_trusted_targets`.

    Raises:
        UserError: Lists every such key.
    """
    if unknown := [str(key) for key in config if key not in ROOT_KEYS]:  # Hydra would obey `defaults` and `hydra`
        raise UserError(f"'{source}' contains {', '.join(unknown)}, which no config of a run has; nothing was run")
    require_trusted_targets(config, source, trusted, is_own=is_own)


def require_trusted_targets(
    config: Any, source: object, trusted: str | Iterable[str] = (), *, is_own: bool = False
) -> None:
    """Refuse a node of a recorded config that names undeclared code; make the declared code importable.

    Args:
        config: Plain containers.
        source: File that contains the config, for the message.
        trusted: Packages that the user has declared, in addition to those in `TRAINER_TRUST`. Defaults to none.
        is_own: Whether the user has started this config; it may then name any code, and read environment variables.
            Defaults to False.

    Raises:
        UserError: Lists every such key with its target and the reason, and how to declare the user's own packages.
    """
    packages = get_trusted_packages(trusted)
    targets = find_targets(config, with_paths=True)
    add_working_directory(targets if is_own else [name for name in targets if is_within(name, packages)])
    violations = [*find_untrusted_targets(config, packages)]
    if is_own:
        violations = [
            (key, text, reason)
            for key, text, reason in violations
            if reason == INTERPOLATION_REASON and not reads_only_environment(text)
        ]
    _raise_violations(violations, source)


def _raise_violations(violations: Sequence[Violation], source: object) -> None:
    if not violations:
        return
    lines = [f"'{source}' names code that is not trusted; none of it was run"]
    lines += [f"{key}: {target}: {reason}" for key, target, reason in violations]
    undeclared = dict.fromkeys(target.partition(".")[0] for _, target, why in violations if why == UNDECLARED_REASON)
    if undeclared:
        names = ",".join(undeclared)
        lines.append(f"if you trust this code, add --trust={names} (or set {TRUST_ENV_VAR}={names})")
    if any(reason == INTERPOLATION_REASON and reads_only_environment(text) for _, text, reason in violations):
        lines.append(
            "environment variables are read only for your own runs; if you have started this one, type the command in "
            "the directory in which you started it"
        )
    raise UserError("\n  ".join(lines))


def require_safe_interpolations(config: Any, source: object) -> None:
    """Refuse interpolations of a recorded config that could read environment variables or build objects.

    Args:
        config: Plain containers with unresolved interpolations.
        source: File that contains the config, for the message.

    Raises:
        UserError: Lists every key with such an interpolation.
    """
    texts = _iter_texts(config)
    unsafe = [(key, text) for key, text in texts if len(SAFE_INTERPOLATION.findall(text)) != text.count("${")]
    _raise_violations([(key, text, INTERPOLATION_REASON) for key, text in unsafe], source)


def _iter_texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of nested containers by dotted key."""
    if isinstance(node, str):
        yield key, node
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in pairs:
        yield from _iter_texts(child, f"{key}.{name}".lstrip("."))


def _get_rejection_reason(target: Any, trusted: tuple[str, ...]) -> str:
    """Return the reason why a target is not allowed, or "" if it is allowed."""
    if not isinstance(target, str) or not TARGET_PATTERN.fullmatch(target):
        return "not a dotted name"
    package, *names = target.split(".")
    if package in sys.stdlib_module_names or not names:
        return "part of the Python standard library"
    if package in FACTORY_PACKAGES:
        return "builds any object that its arguments name"
    if any(name.startswith("__") for name in names):
        return "special name of Python"
    if not is_within(target, (*TRUSTED_PACKAGES, *trusted)):
        subpackages = [name for name in TRUSTED_PACKAGES if is_within(name, [package])]
        return f"only {', '.join(subpackages)} of {package} are trusted" if subpackages else UNDECLARED_REASON
    try:
        member = resolve_name(target)
    except Exception as error:  # an import can raise any exception
        return f"cannot be imported ({error})"
    # of `trainer.cli.main.os.system`: posix
    module = str(getattr(member, "__module__", None) or type(member).__module__)
    if is_within(module, trusted):
        return ""
    if not is_within(module, TRUSTED_PACKAGES):
        return f"defined in {module}, which is not trusted" if is_within(target, trusted) else NO_CLASS_REASON
    if inspect.isfunction(member) and is_within(module, FACTORY_MODULES):
        return ""
    if not inspect.isclass(member):
        return NO_CLASS_REASON
    has_role = issubclass(member, _import_roles()) and not is_within(module, BLOCKED_MODULES)
    return "" if has_role else f"not a {ROLE_NAMES}"


@cache
def _import_roles() -> tuple[type, ...]:
    return tuple(map(resolve_name, ROLES))
