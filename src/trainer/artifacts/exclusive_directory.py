"""Claim: no two runs ever share a directory. Hydra calls it before anything else, so it imports no torch."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.ledger_file import LEDGER
from trainer.config.schema import Sweep


class ClaimDirectory(Callback):
    """Hydra callback: no two runs ever share a directory, not even when both are told the same one.

    Creating a directory either succeeds for one process alone or fails, so it serves as the claim.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the directory of a single run."""
        claim(config, "hydra.run.dir")
        if (Path(config.hydra.run.dir).parent / LEDGER).is_file():  # a job of a sweep
            return
        if keys := [f"sweep.{name}" for name, usual in asdict(Sweep()).items() if config.sweep[name] != usual]:
            print(
                f"warning: {', '.join(keys)}: no effect in a single run; start a sweep with: trainer -m",
                file=sys.stderr,
            )

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the directory of a sweep; Hydra numbers its jobs below it."""
        claim(config, "hydra.sweep.dir")


def claim(config: DictConfig, key: str) -> None:
    """Create the directory that `key` names, or end the process with a message.

    An empty directory that exists already is taken as meant. (An exception would not do: Hydra makes warnings of
    those that its callbacks raise.)
    """
    HydraConfig.instance().set_config(config)  # Hydra has not done it yet, and `${hydra:...}` needs it
    directory = Path(OmegaConf.select(config, key))
    if key == "hydra.sweep.dir" and (directory / LEDGER).is_file():  # the same sweep goes on
        return
    left = {path.name for path in directory.iterdir()} if config.get("resume") and directory.is_dir() else set()
    if left & {".hydra", "multirun.yaml"} or left == {"trainer.log"}:  # Hydra opens the log first, and was killed then
        return  # a run or a sweep, which is to go on
    try:
        directory.mkdir(parents=True, exist_ok=directory.is_dir() and not any(directory.iterdir()))
    except FileExistsError:
        problem = (
            f"{key}: '{directory}' is not empty, and may hold another run\n  name a new directory, or leave {key} out;"
            f" to go on with what it holds: trainer resume {directory}"
        )
    except OSError as error:
        problem = (
            f"cannot write to '{directory}': {error.strerror}\n  name a directory that you may write to: outputs=DIR"
        )
    else:
        return
    raise SystemExit(f"error: {problem}")
