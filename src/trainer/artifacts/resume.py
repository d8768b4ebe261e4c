"""Checkpoint from which a run is resumed, and the check that its config is unchanged."""

import logging
from pathlib import Path
from typing import Any

import torch

from trainer.artifacts.fingerprint import drop_ignored, relative_paths
from trainer.artifacts.ledger_file import is_sweep_job
from trainer.artifacts.run_record import RunRecord
from trainer.core.checksummed_file import find_corruption
from trainer.core.errors import UserError
from trainer.core.formatting import quote_argument
from trainer.core.mappings import flatten, is_within

log = logging.getLogger(__name__)

LAST_CHECKPOINT = "last.ckpt"
PREVIOUS_CHECKPOINT = "previous.ckpt"
DURATION_KEYS = tuple(f"trainer.{name}" for name in ("max_epochs", "max_steps", "min_epochs", "min_steps", "max_time"))
CHANGEABLE_KEYS = (*DURATION_KEYS, "callbacks.early_stopping", "test")  # in addition to the ignored keys
MAX_LISTED_KEYS = 10


def find_valid_checkpoint(run: Path) -> Path | None:
    """Return the latest valid checkpoint of a run; rename corrupted ones and log a warning."""
    for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT):
        file = run / "checkpoints" / name
        if not file.is_file():
            continue
        problem = find_corruption(file)
        if problem is None:
            return file
        renamed = file.with_name(f"{name}.damaged")
        file.replace(renamed)
        log.warning(f"{file} is corrupted ({problem}); renamed it to {renamed.name}, using the previous checkpoint")
    return None


def has_checkpoint(run: Path) -> bool:
    """Return whether a run has a checkpoint, valid or not."""
    return any((run / "checkpoints" / name).is_file() for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT))


def find_resume_point(run: Path) -> tuple[str | None, dict[str, Any]]:
    """Return the last valid checkpoint of a run and the log position stored in it.

    Without a checkpoint the run restarts, with empty logs.
    """
    start = {"rows": 0, "events": {}}
    file = find_valid_checkpoint(run)
    if file is None:
        log.info("resume no checkpoint: training from the start")
        return None, start
    content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    version = content.get("resume", {}).get("torch", torch.__version__)
    if version != torch.__version__:
        log.warning(f"{file.name} was written with torch {version}, this is {torch.__version__}: results may differ")
    log.info(f"resume {file.name}, step {content['global_step']}, epoch {content['epoch'] + 1}")
    return str(file), content.get("resume", {}).get("logs", start)


def is_finished(run: Path) -> bool:
    """Return whether `result.json` of a run contains the state `finished`."""
    return RunRecord(run).result.get("state") == "finished"


def is_fully_trained(run: Path, config: dict[str, Any]) -> bool:
    """Return whether a run is finished and `config` does not make it longer."""
    if not is_finished(run):
        return False
    old = RunRecord(run).config
    new = flatten(config)
    return all(old.get(key) == new.get(key) for key in DURATION_KEYS)


def log_resume_command(run: Path, state: str) -> None:
    """Log the command that resumes a run that has not ended; a sweep logs that of all its jobs."""
    if state not in ("finished", "pruned") and (run / "checkpoints/last.ckpt").is_file() and not is_sweep_job(run):
        log.info(f"to resume: trainer resume {quote_argument(run)}")


def require_same_config(run: Path, config: dict[str, Any]) -> None:
    """Raise an error if a config would not produce the metrics of the run.

    Raises:
        UserError: The message names each setting that differs, with both values, or the invalid file of the run.
    """
    record = RunRecord(run)
    if record.problem:
        raise UserError(f"the run in '{run}' is unreadable: {record.problem}")
    path = record.provenance.get("run", run.absolute())  # of the run before it was moved
    old = flatten(drop_ignored(relative_paths(record.nested_config, path)))
    new = flatten(drop_ignored(relative_paths(config, run.absolute())))
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key) and not is_within(key, CHANGEABLE_KEYS)]
    if changed:
        lines = (f"\n  {key}: {old.get(key)} saved, {new.get(key)} now" for key in changed[:MAX_LISTED_KEYS])
        raise UserError(
            f"'{run}' contains a run with different settings:{''.join(lines)}\n  use the saved settings, or start a"
            " new run from its checkpoint: ckpt_path=RUN/checkpoints/last.ckpt"
        )


def require_trained(record: RunRecord, command: str) -> None:
    """Raise a `UserError` for an ensemble, whose training a command cannot continue or repeat."""
    if record.members:
        raise UserError(
            f"{command}: '{record.path}' combines {len(record.members)} run(s), and is not trained itself\n  name one"
            f" of the runs: trainer {command} {quote_argument(record.members[0])}"
        )


def relocate_checkpoint_state(directory: Path, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of Lightning's `ModelCheckpoint` with the paths of a moved run directory.

    Args:
        directory: Checkpoint directory of this run.
        state: Saved state of the callback; returned unchanged if the best checkpoint is not in the directory.
    """
    if Path(state["dirpath"] or "") == directory or not (directory / Path(state["best_model_path"]).name).is_file():
        return state
    paths = {name: str(directory / Path(path).name) for name, path in state.items() if name.endswith("_path") and path}
    best = {str(directory / Path(path).name): score for path, score in state["best_k_models"].items()}
    return state | paths | {"dirpath": str(directory), "best_k_models": best}
