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

from omegaconf import OmegaConf
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainer.artifacts.fingerprint import placeless
from trainer.artifacts.run_record import differences, flat, record_of
from trainer.cli.commands import as_typed
from trainer.config.compose import Composer
from trainer.core.errors import UserError


def main(words: list[str]) -> int:
    """Compare what stands behind `diff`; the exit status is 0, whether they differ or not."""
    named = [word for word in words if word != "--json"]
    if len(named) != 2:
        raise UserError("diff: name two experiments, runs, or command lines in quotes: trainer diff A B")
    first, second = (flat_config(name) for name in named)
    differing = differences(first, second)
    if "--json" in words:
        print(json.dumps({key: {"a": a, "b": b} for key, (a, b) in differing.items()}, indent=2, default=str))
    elif not differing:
        print("no difference")
    else:
        table = Table("key", named[0], named[1], box=SIMPLE_HEAD)
        for key, pair in differing.items():
            table.add_row(Text(key, overflow="fold"), *(Text(as_typed(value), overflow="fold") for value in pair))
        Console().print(table)
    return 0


def flat_config(name: str) -> dict[str, Any]:
    """The values of a config by dotted key.

    Args:
        name: Of an experiment; or words of a command line; or the directory of a run.

    Raises:
        UserError: It is none of these, or has mistakes.
    """
    if Path(name).is_dir():
        return flat(placeless(record_of(name).nested_config, Path(name), Path(name).absolute()))
    words = shlex.split(name)
    config = Composer().config_of([f"experiment={name}"] if len(words) == 1 and "=" not in name else words)
    values = {
        str(key): OmegaConf.to_container(config[key], resolve=True) if OmegaConf.is_config(config[key]) else config[key]
        for key in config
        if key != "hydra" and not OmegaConf.is_missing(config, key)
    }
    return flat(placeless(values, config.hydra.runtime.output_dir))
