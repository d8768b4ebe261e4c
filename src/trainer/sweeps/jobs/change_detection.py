"""Detection of code and data that have changed since jobs of a sweep were run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig

from trainer.artifacts.change_detection import require_accepted
from trainer.artifacts.code_hashes import find_changed_files
from trainer.artifacts.data_checksum import compute_checksum_from_config, describe_data_change
from trainer.artifacts.resume import has_checkpoint
from trainer.artifacts.run_record import RunRecord
from trainer.config.compose import get_override_key
from trainer.config.launchers import is_remote
from trainer.core.mappings import flatten
from trainer.sweeps.store.job import RUNNABLE_STATES, Job
from trainer.sweeps.store.job_store import Ledger

DATA_GROUPS = ("data", "experiment", "hparams_search", "debug")


def require_unchanged_code_and_data(ledger: Ledger, config: DictConfig) -> None:
    """Raise if the code or data differ from those of earlier jobs, unless the user has accepted the changes.

    Args:
        ledger: Ledger of the sweep.
        config: Config of the sweep.

    Raises:
        UserError: Code or data have changed; the message lists the changes.
    """
    jobs = sorted((job for job in ledger.jobs() if _has_results(ledger.sweep, job)), key=lambda job: job.started or 0)
    records = [RunRecord(ledger.sweep / str(job.number)) for job in jobs]
    code = {name: digest for record in records for name, digest in record.code.items()}  # latest version of each file
    directories = dict.fromkeys(path for record in records for path in record.starts[-1].get("code_folders", []))
    changes = find_changed_files(code, [*directories])
    for record in _select_run_per_dataset(jobs, records):
        if not is_remote(config) and record.starts[-1].get("directory") == str(Path.cwd()):  # the data are accessible
            recorded = record.result.get("data_sha256")
            current = recorded and compute_checksum_from_config(record.nested_config)
            changes += describe_data_change(record.nested_config, recorded, current)
    require_accepted(
        list(dict.fromkeys(changes)), f"the sweep in '{ledger.sweep}'", accepted=bool(config.get("accept_changes"))
    )


def has_remaining_jobs(ledger: Ledger, new: Mapping[str, list[str]], *, is_search_open: bool) -> bool:
    """Return whether a sweep has jobs to run.

    Args:
        ledger: Ledger of the sweep.
        new: Jobs of a command, by identity.
        is_search_open: Whether a search may choose further jobs.
    """
    jobs = ledger.jobs()
    is_any_open = any(job.state in (*RUNNABLE_STATES, "running") for job in jobs)
    return is_any_open or is_search_open or not new.keys() <= {job.identity for job in jobs}


def _has_results(sweep: Path, job: Job) -> bool:
    """Return whether a job has results or a checkpoint that remain part of the sweep."""
    return job.state in ("done", "pruned", "running") or bool(job.attempts and has_checkpoint(sweep / str(job.number)))


def _select_run_per_dataset(jobs: Sequence[Job], records: Sequence[RunRecord]) -> Iterable[RunRecord]:
    """Return the latest finished run of each data set; another seed or batch size reads the same files."""
    by_overrides = {}
    for job, record in zip(jobs, records, strict=True):
        if job.state == "done":
            keys = {override: get_override_key(override) for override in job.overrides}
            data = tuple(text for text, key in keys.items() if key in DATA_GROUPS or key.startswith("data."))
            by_overrides[data] = record
    by_config = {}
    for record in by_overrides.values():
        names = {key: value for key, value in flatten(record.nested_config["data"]).items() if isinstance(value, str)}
        by_config[str(names)] = record
    return by_config.values()
