"""Say in what two configs differ: experiments, command lines, or runs that are over.

trainer diff A B [--json]     e.g. trainer diff mnist_cnn mnist_tutorial
                                   trainer diff "model=cnn optimizer.lr=0.1" outputs/digits_cnn/RUN

A and B are each the name of an experiment, the words that would stand behind `trainer`, in quotes, or the directory of
a run. References are filled in; directories of the runs themselves do not count.
"""

import json
import shlex
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainer.compose import Composer
from trainer.errors import UserError
from trainer.mistake import refuse

ABSENT = "-"


def main(words: list[str]) -> int:
    """Compare what stands behind `diff`; the exit status is 0, whether they differ or not."""
    named = [word for word in words if word != "--json"]
    if len(named) != 2:
        raise UserError("diff: name two experiments, runs, or command lines in quotes: trainer diff A B")
    first, second = (flat_config(name) for name in named)
    keys = [*first, *(key for key in second if key not in first)]
    differing = {key: (first.get(key, ABSENT), second.get(key, ABSENT)) for key in keys}
    differing = {key: pair for key, pair in differing.items() if pair[0] != pair[1]}
    if "--json" in words:
        print(json.dumps({key: {"a": a, "b": b} for key, (a, b) in differing.items()}, indent=2, default=str))
    elif not differing:
        print("no difference")
    else:
        table = Table("key", named[0], named[1], box=SIMPLE_HEAD)
        for key, pair in differing.items():
            table.add_row(Text(key, overflow="fold"), *(Text(_shown(value), overflow="fold") for value in pair))
        Console().print(table)
    return 0


def flat_config(name: str) -> dict[str, Any]:
    """The values of a config by dotted key.

    Args:
        name: Of an experiment; or words of a command line; or the directory of a run.

    Raises:
        UserError: It is none of these, or has mistakes.
    """
    file = Path(name, "config.yaml")
    if file.is_file():
        values = yaml.safe_load(file.read_text("utf-8"))
        own = [str(Path(name)), str(Path(name).absolute())]
    elif Path(name).is_dir():
        raise UserError(f"diff: '{name}' is no run: it has no config.yaml")
    else:
        composer = Composer()
        words = shlex.split(name)
        config, _, mistakes = composer.attempt([f"experiment={name}"] if len(words) == 1 and "=" not in name else words)
        refuse([*mistakes, *composer.found])
        assert config is not None
        own = [str(config.hydra.runtime.output_dir)]
        values = {
            key: OmegaConf.to_container(config[key], resolve=True) if OmegaConf.is_config(config[key]) else config[key]
            for key in config
            if key != "hydra" and not OmegaConf.is_missing(config, key)
        }
    flat: dict[str, Any] = {}
    _flatten(values, "", flat)
    return {key: _without(value, own) for key, value in flat.items()}


def _flatten(value: Any, key: str, into: dict[str, Any]) -> None:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            _flatten(child, f"{key}.{name}".strip("."), into)
    else:
        into[key] = value


def _without(value: Any, directories: list[str]) -> Any:
    """A value without the directory of its run, which is another for each."""
    if isinstance(value, str):
        for directory in sorted(directories, key=len, reverse=True):
            value = value.replace(directory, ".")
    return value


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
