"""The run directory: claimed for one run alone, told where it came from, closed with a result.

outputs/<experiment or data_model>/<time>_<suffix>/
    config.yaml       every value the run used            result.json      how it ended, and its metrics
    provenance.json   command, commit, versions, machine  code.diff        what the commit does not hold
    checkpoints/      best.ckpt, last.ckpt                metrics.csv      every logged number
    tensorboard/      events                              trainer.log      what was said
    .hydra/           Hydra's own record
"""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.provenance import provenance

LEDGER = "sweep.sqlite"  # in the directory of a sweep: see `trainer.sweep.ledger`
# what does not change the numbers a run arrives at, and so has no part in its fingerprint
INCIDENTAL = (
    *("outputs", "task_name", "tags", "logger", "optimized_metric", "data.dir", "data.mirrors", "data.download"),
    *("callbacks.progress", "callbacks.pictures", "callbacks.lr_monitor", "callbacks.forecast"),
    *("callbacks.classes", "callbacks.values"),
    *("callbacks.samples", "callbacks.sample_quality"),
    *("callbacks.attention_maps", "sweep"),
)


def fingerprint(config: dict[str, Any], directory: Path) -> str:
    """A hash of every setting that decides the numbers: equal for two runs that ought to agree.

    Args:
        config: The resolved config as plain containers.
        directory: The run directory, which some settings name.

    Returns:
        str: 16 hexadecimal digits.
    """
    essential = OmegaConf.create(config)
    for key in INCIDENTAL:
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(essential, parent) if parent else essential
        if node and name in node:
            del node[name]
    text = json.dumps(OmegaConf.to_container(essential), sort_keys=True, default=str)
    return hashlib.sha256(text.replace(str(directory.absolute()), ".").encode()).hexdigest()[:16]


def is_first_process() -> bool:
    """Whether this process owns the run directory; the others of a run on several devices do not.

    Reads the variables that launchers set, as Lightning does: torchrun's, Lightning's own, Slurm's.
    """
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((rank for rank in ranks if rank is not None), "0") == "0"


class ClaimDirectory(Callback):
    """Hydra callback: no two runs ever share a directory, not even when both are told the same one.

    Creating a directory either succeeds for one process alone or fails, so it serves as the claim.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the directory of a single run."""
        claim(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the directory of a sweep; Hydra numbers its jobs below it."""
        claim(config, "hydra.sweep.dir")


def claim(config: DictConfig, key: str) -> None:
    """Create the directory that `key` names, or end the process with a message.

    An empty directory that exists already is taken as meant. (An exception would not do: Hydra makes warnings of
    those that its callbacks raise.)
    """
    if not is_first_process():
        return
    HydraConfig.instance().set_config(config)  # Hydra has not done it yet, and `${hydra:...}` needs it
    directory = Path(OmegaConf.select(config, key))
    if key == "hydra.sweep.dir" and (directory / LEDGER).is_file():  # the same sweep goes on
        return
    try:
        directory.mkdir(parents=True, exist_ok=directory.is_dir() and not any(directory.iterdir()))
    except FileExistsError:
        problem = (
            f"{key}: '{directory}' is not empty, and may hold another run\n  name a new directory, or leave {key} out"
        )
    except OSError as error:
        problem = (
            f"cannot write to '{directory}': {error.strerror}\n  name a directory that you may write to: outputs=DIR"
        )
    else:
        return
    raise SystemExit(f"error: {problem}")


class RunDirectory:
    """Writes what a run leaves behind beside its checkpoints and logs; only the first process writes.

    Args:
        path: An existing directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: dict[str, Any] = {}  # resolved, of plain containers; filled by `begin`
        self.provenance: dict[str, Any] = {}  # filled by `begin`, in the first process

    def begin(self, config: DictConfig, overrides: list[str]) -> None:
        """Write `config.yaml`, `provenance.json` and `code.diff`."""
        resolved = OmegaConf.to_container(config, resolve=True)
        assert isinstance(resolved, dict)
        self.config = {str(key): value for key, value in resolved.items()}
        if not is_first_process():
            return
        OmegaConf.save(OmegaConf.create(self.config), self.path / "config.yaml")
        self.provenance, diff = provenance()
        write(self.path / "provenance.json", json.dumps({**self.provenance, "overrides": overrides}, indent=2) + "\n")
        if diff:
            write(self.path / "code.diff", diff)

    def end(self, result: dict[str, Any], seconds: float) -> None:
        """Write `result.json`; its presence says that the run is over."""
        result["seconds"] = round(seconds, 3)
        if self.config:
            result |= {"seed": self.config["seed"], "fingerprint": fingerprint(self.config, self.path)}
        if is_first_process():
            # JSON knows no NaN: what diverged has no value
            finite = {name: value if math.isfinite(value) else None for name, value in result["metrics"].items()}
            write(self.path / "result.json", json.dumps({**result, "metrics": finite}, indent=2) + "\n")


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
