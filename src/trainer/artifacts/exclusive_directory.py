"""Hydra callback that creates the directory of a run or sweep for this process alone. Imports no torch."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.ledger_file import LEDGER_FILENAME, is_sweep_job
from trainer.config.schema import SweepConfig
from trainer.core.formatting import quote_argument


class ExclusiveDirectory(Callback):
    """Create the directory of each run or sweep; two runs with the same directory fail.

    Only one process can create a directory, so `mkdir` is the lock.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Create the directory of a single run, and warn about sweep settings without effect."""
        create_exclusive_directory(config, "hydra.run.dir")
        if is_sweep_job(Path(config.hydra.run.dir)):
            return
        defaults = asdict(SweepConfig())
        if keys := [f"sweep.{name}" for name, default in defaults.items() if config.sweep[name] != default]:
            message = f"warning: {', '.join(keys)}: no effect in a single run; start a sweep with: trainer -m"
            print(message, file=sys.stderr)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Create the directory of a sweep, in which Hydra numbers the jobs."""
        create_exclusive_directory(config, "hydra.sweep.dir")


def create_exclusive_directory(config: DictConfig, key: str) -> None:
    """Create the directory that `key` contains, or exit with a message.

    An empty directory is accepted. The function exits, as Hydra converts exceptions in its callbacks to warnings.
    """
    HydraConfig.instance().set_config(config)  # Hydra sets it later, but `${hydra:...}` needs it
    directory = Path(OmegaConf.select(config, key))
    if key == "hydra.sweep.dir" and (directory / LEDGER_FILENAME).is_file():  # an existing sweep continues
        return
    names = {path.name for path in directory.iterdir()} if config.get("resume") and directory.is_dir() else set()
    if names & {".hydra", "multirun.yaml"} or names == {"trainer.log"}:  # to resume; killed early if only a log exists
        return
    try:
        directory.mkdir(parents=True, exist_ok=directory.is_dir() and not any(directory.iterdir()))
    except FileExistsError:
        problem = (
            f"{key}: '{directory}' is not empty; expected a new or empty directory\n"
            f"  choose another one, omit {key}, or resume the run in it: trainer resume {quote_argument(directory)}"
        )
    except OSError as error:
        problem = f"cannot write to '{directory}': {error.strerror}\n  choose a writable directory: outputs=DIR"
    else:
        return
    raise SystemExit(f"error: {problem}")
