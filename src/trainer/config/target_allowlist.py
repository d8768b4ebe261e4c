"""Trust: which code a config that came in a file may name. What it names is run when the config is built.

A config on the command line is the user's own. One that lies in a checkpoint or in a run directory may be anybody's, so
it may name classes of PyTorch, Lightning and this package only, and what the user has declared: `trust=my_package`
behind a command, or the environment variable `TRAINER_TRUST`. This is no sandbox: such a config still says which
files are read, and in `trainer test` which ones are written.
"""

import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from pkgutil import resolve_name
from typing import Any

from trainer.core.errors import UserError

VARIABLE = "TRAINER_TRUST"
PACKAGES = ("trainer", "torch.nn", "torch.optim", "torchvision", "torchmetrics", "pytorch_lightning")
MAKERS = (
    "trainer.task.objective",
    "trainer.task.schedulers",
    "trainer.callbacks.finite_loss",
)  # of these, functions too
# a class that builds whatever its arguments name
NEVER = ("pytorch_lightning.cli", "pytorch_lightning.callbacks.lambda_function")

Refusal = tuple[str, str, str]  # key, target, reason


def declared(more: str | Iterable[str] = ()) -> tuple[str, ...]:
    """The packages that the user has declared: those in `TRAINER_TRUST`, and `more`.

    Args:
        more: Names, or one text with commas between them.
    """
    words = more.split(",") if isinstance(more, str) else [*more]
    return tuple(filter(None, (word.strip() for word in [*os.environ.get(VARIABLE, "").split(","), *words])))


def refused(config: Any, trusted: Iterable[str] = (), key: str = "") -> Iterator[Refusal]:
    """What a config names that it may not; nothing is built, and no module is imported that is not trusted.

    Args:
        config: Plain containers.
        trusted: Packages that the user has declared.
        key: Where the config stands, for the answer.

    Yields:
        Refusal: The dotted key of the node, its target, and why it is refused.
    """
    trusted = tuple(trusted)
    if isinstance(config, dict):
        if "_target_" in config and (reason := _reason(config["_target_"], trusted)):
            yield key, str(config["_target_"]), reason
        for name, child in config.items():
            yield from refused(child, trusted, f"{key}.{name}" if key else str(name))
    elif isinstance(config, list | tuple):
        for place, child in enumerate(config):
            yield from refused(child, trusted, f"{key}[{place}]")
    elif isinstance(config, str) and "${" in config:  # a resolver may bring in a target of its own
        yield key, config, "a reference, which no finished config holds"


def require(config: Any, where: object, trusted: str | Iterable[str] = ()) -> None:
    """Refuse a config that names code which nobody has declared.

    Args:
        config: Plain containers.
        where: The file it came from, for the message.
        trusted: Packages that the user has declared, besides those in `TRAINER_TRUST`.

    Raises:
        UserError: Names every such key, its target and the reason, and what to type where the code is the user's own.
    """
    found = [*refused(config, declared(trusted))]
    if not found:
        return
    lines = [f"'{where}' names code that is not trusted; nothing of it was run"]
    lines += [f"{key}: {target}: {reason}" for key, target, reason in found]
    own = dict.fromkeys(target.partition(".")[0] for _, target, reason in found if reason == UNDECLARED)
    if own:
        names = ",".join(own)
        lines.append(f"if it is your own or you know it, add trust={names} (or set {VARIABLE}={names})")
    raise UserError("\n  ".join(lines))


UNDECLARED = "a package that you have not declared"


def _reason(target: Any, trusted: tuple[str, ...]) -> str:
    """Why a target is refused; "" where it is not."""
    if not isinstance(target, str):
        return "no dotted name"
    package = target.partition(".")[0]
    if package in sys.stdlib_module_names or "." not in target:
        return "Python's own, of which no run is made"
    if _within(target, trusted):
        return ""
    if not _within(target, PACKAGES):
        known = package in {name.partition(".")[0] for name in PACKAGES}
        return f"of {package} only {', '.join(n for n in PACKAGES if _within(n, [package]))}" if known else UNDECLARED
    try:
        found = resolve_name(target)
    except Exception as error:  # whatever importing raises
        return f"cannot be imported ({error})"
    home = getattr(found, "__module__", None) or ""  # `trainer.cli.main.os.system` is at home in posix
    is_maker = inspect.isclass(found) or (inspect.isfunction(found) and _within(home, MAKERS))
    if _within(home, PACKAGES) and not _within(home, NEVER) and is_maker:
        return ""
    return "no class of these packages"


def _within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
