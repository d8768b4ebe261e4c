"""Preflight: every argument of every `_target_` checked against its signature, before anything is opened."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, get_type_hints

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from trainer.config import HOME, Config, user_folders
from trainer.errors import UserError, did_you_mean
from trainer.spec import DataSpec

_OF_HYDRA = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def check(config: DictConfig) -> None:
    """Refuse a config that cannot run.

    Raises:
        UserError: Lists every mistake: the key, what is wrong, what to type instead and where it was written.
    """
    try:
        values = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0] + f"\n  at key '{error.full_key}'") from None
    found = [*_unknown_keys(config), *_mistakes("", values), *_not_here(config)]
    mistakes = [f"{key}: {problem}{_origin(key)}" for key, problem in found]
    if mistakes:
        raise UserError("\n       ".join(mistakes))


def check_monitors(config: DictConfig, task: Any, callbacks: list[Any], data: Any) -> None:
    """Refuse to wait for a metric that nobody logs; Lightning would find out after the first epoch.

    Args:
        config: Its callbacks and scheduler may have a `monitor`.
        task: Says by `logged` which names it logs; one that does not say lets all names pass.
        callbacks: Those that log say by `logged(data)` which names. One that is neither Lightning's nor ours may log
            anything, and then all names pass.
        data: The data module.

    Raises:
        UserError: Names the key, and the metrics there are.
    """
    known = all(type(each).__module__.startswith(("trainer.", "pytorch_lightning.")) for each in callbacks)
    if not known or not hasattr(task, "logged"):
        return
    logged = [*task.logged, *(name for each in callbacks if hasattr(each, "logged") for name in each.logged(data))]
    monitors = {f"callbacks.{name}.monitor": node.get("monitor") for name, node in (config.callbacks or {}).items()}
    monitors["scheduler.monitor"] = config.scheduler.get("monitor")
    for key, metric in [*monitors.items(), ("optimized_metric", config.optimized_metric)]:
        if key == "optimized_metric":  # the run adds the best value of what its checkpoints are chosen by
            logged = [*logged, f"{monitors.get('callbacks.checkpoint.monitor')}_best"]
        if metric is not None and metric not in logged:
            raise UserError(f"{key}: no metric '{metric}' is logged; there are: {', '.join(logged)}{_origin(key)}")


def models_that_take(spec: DataSpec) -> list[str]:
    """Names of the models in all `conf/model` folders that can be built for this data."""
    names = []
    for folder in [HOME / "conf", *user_folders()]:
        for file in sorted(folder.glob("model/*.yaml")):
            try:
                with torch.device("meta"):  # shapes only, no memory
                    instantiate(OmegaConf.select(OmegaConf.load(file), "net"), _convert_="all")(spec)
            except Exception:  # a user's model may refuse in any way it likes
                continue
            names.append(file.stem)
    return names


def _unknown_keys(config: DictConfig) -> Iterator[tuple[str, str]]:
    """Keys that a `+` has let in where nothing reads them."""
    for parent, known in {"": [field.name for field in fields(Config)], "model": ["task", "net", "monitor"]}.items():
        for key in config[parent] if parent else config:
            if key not in known:
                yield f"{parent}.{key!s}".strip("."), f"nothing reads this key{did_you_mean(str(key), known)}"


def _not_here(config: DictConfig) -> Iterator[tuple[str, str]]:
    """A checkpoint or a device that this machine does not have."""
    if config.trainer.get("accelerator") in ("gpu", "cuda") and not torch.cuda.is_available():
        yield "trainer.accelerator", "PyTorch finds no GPU on this machine; use trainer=cpu"
    if config.resume not in (None, "auto"):
        yield "resume", f"'{config.resume}' is neither auto nor null; one run is gone on with by: trainer resume RUN"
    if config.ckpt_path is None and config.test and not config.train:
        yield "ckpt_path", "train=false tests a checkpoint; name it: ckpt_path=outputs/.../checkpoints/best.ckpt"
    if config.ckpt_path is not None and not Path(config.ckpt_path).exists():
        yield "ckpt_path", f"no file '{config.ckpt_path}'"


def _mistakes(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) for everything wrong at a key and below it."""
    if value == "???":
        yield key, "no value given"
    elif isinstance(value, dict):
        if "_target_" in value:
            yield from _mistakes_of_call(key, value)
        for name, child in value.items():
            yield from _mistakes(f"{key}.{name}" if key else str(name), child)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from _mistakes(f"{key}[{place}]", child)


def _mistakes_of_call(key: str, call: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the signature of `_target_` has against the arguments beside it."""
    try:
        target: Callable[..., Any] = resolve_name(call["_target_"])
    except Exception as error:  # whatever importing somebody's module raises
        yield f"{key}._target_", f"cannot import '{call['_target_']}': {_first_line(error)}"
        return
    try:
        parameters = inspect.signature(target).parameters
    except (ValueError, TypeError):  # some compiled callables tell nothing of themselves
        return
    names = [name for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = _hints(target)
    given = {name: value for name, value in call.items() if name not in _OF_HYDRA}
    for name, value in given.items():
        if name not in parameters and not takes_any:
            yield f"{key}.{name}", f"{call['_target_']} takes no '{name}'{did_you_mean(name, names)}"
        elif name in hints and value != "???":
            yield from _mistakes_of_type(f"{key}.{name}", value, hints[name])
    if not call.get("_partial_") and not call.get("_args_"):
        for name in names:
            if parameters[name].default is inspect.Parameter.empty and name not in given:
                yield f"{key}.{name}", f"{call['_target_']} needs a value for it"


def _mistakes_of_type(key: str, value: Any, hint: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and "_target_" in value:  # an object still to be built
        return
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        if isinstance(value, list | dict) and "_target_" in repr(value):
            return
        words = error.errors(include_url=False)
        literal = next((e["ctx"]["expected"] for e in words if e["type"] == "literal_error"), None)
        yield key, f"{value!r} is not {'one of: ' + literal if literal else _name(hint)}"
    except (PydanticUserError, TypeError, NameError):  # a hint that pydantic cannot judge
        return


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(vars(target)["__init__"] if inspect.isclass(target) else target)
    except Exception:  # a hint may name what is imported for type checkers only
        return {}


def _name(hint: Any) -> str:
    """A type as a user would say it: `int or null`, `list of int`."""
    if isinstance(hint, type) and not hasattr(hint, "__args__"):
        return hint.__name__
    text = re.sub(r"\b(typing|collections\.abc|torch)\.", "", str(hint))
    text = re.sub(r"\b(?:Sequence|list|tuple)\[(\w+)(?:, \.\.\.)?\]", r"list of \1", text)
    text = re.sub(r"Optional\[(.*)\]", r"\1 | None", text)
    return text.replace(" | ", " or ").replace("None", "null")


def _first_line(error: Exception) -> str:
    return (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]


def _origin(key: str) -> str:
    """Where a key was written: the command line, or the file; "" where that cannot be told."""
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    if hydra is None:
        return ""
    for override in hydra.overrides.task:
        name = override.lstrip("+~").partition("=")[0]
        if name in hydra.runtime.choices:  # a choice, not a value
            continue
        if key == name or key.startswith((f"{name}.", f"{name}[")) or name.startswith(f"{key}."):
            return f"  (command line: {override})"
    for file, package in _files_read(dict(hydra.runtime.choices)):
        inner = key.removeprefix(f"{package}.") if package else key
        if package and inner == key:
            continue
        if OmegaConf.select(OmegaConf.load(file), inner) is not None:
            return f"  (in {file})"
    return ""


def _files_read(choices: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The YAML files a config was composed from, latest word first, each with the key it is placed under."""
    roots = [HOME / "conf", *(folder for folder in user_folders() if folder.name == "conf")]
    recipes = [HOME / "experiments", *(folder for folder in user_folders() if folder.name == "experiments")]
    for group in ("debug", "experiment"):
        for folder in [*recipes, *(root / group for root in roots)]:
            file = folder / f"{choices.get(group)}.yaml"
            if file.is_file():
                yield file, ""
    for root in roots:
        for group, choice in choices.items():
            files = (
                (root / group).glob("*.yaml") if group in ("callbacks", "logger") else [root / group / f"{choice}.yaml"]
            )
            yield from ((file, group) for file in files if file.is_file())
    yield HOME / "conf/config.yaml", ""
