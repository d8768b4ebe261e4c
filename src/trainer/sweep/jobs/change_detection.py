"""Changes of code and data since jobs of a sweep were run: further jobs are not mixed with them without a word."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig

from trainer.artifacts.change_detection import accept
from trainer.artifacts.code_hashes import changed_files
from trainer.artifacts.data_checksum import changed_data, current_checksum
from trainer.artifacts.resume import has_checkpoint
from trainer.artifacts.run_record import Record, flat
from trainer.config.compose import key_of
from trainer.config.launchers import is_elsewhere
from trainer.sweep.store.job_store import TO_RUN, Job, Ledger

CHOOSE_DATA = ("data", "experiment", "hparams_search", "debug")


def refuse_changes_since(ledger: Ledger, config: DictConfig) -> None:
    """Refuse to run further jobs with other code or data than those before, unless the user accepts that.

    Args:
        ledger: Of the sweep.
        config: Of the sweep.

    Raises:
        UserError: Names what has changed.
    """
    kept = [job for job in ledger.jobs() if _is_kept(ledger.sweep, job)]
    kept.sort(key=lambda job: job.began or 0)
    records = [Record(ledger.sweep / str(job.number)) for job in kept]
    code = {name: digest for record in records for name, digest in record.code.items()}  # of each file the latest
    folders = dict.fromkeys(folder for record in records for folder in record.starts[-1].get("code_folders", []))
    changes = changed_files(code, [*folders])
    here = [record for record in _one_for_each_data_set(kept, records) if _is_at_hand(record, config)]
    for record in here:
        before = record.result.get("data_sha256")
        changes += changed_data(record.nested_config, before, before and current_checksum(record.nested_config))
    accept(list(dict.fromkeys(changes)), f"the sweep in '{ledger.sweep}'", accepted=bool(config.get("accept_changes")))


def is_any_left(ledger: Ledger, new: Mapping[str, list[str]], *, is_search_open: bool) -> bool:
    """Return whether a sweep has jobs to run.

    Args:
        ledger: Of the sweep.
        new: Jobs that a command names, by identity.
        is_search_open: Whether a search may choose further jobs.
    """
    jobs = ledger.jobs()
    is_any_open = any(job.state in (*TO_RUN, "running") for job in jobs)
    return is_any_open or is_search_open or not new.keys() <= {job.identity for job in jobs}


def _is_kept(sweep: Path, job: Job) -> bool:
    """Whether what a job has done stays part of the sweep."""
    return job.state in ("done", "pruned", "running") or bool(job.tries and has_checkpoint(sweep / str(job.number)))


def _is_at_hand(record: Record, config: DictConfig) -> bool:
    """Whether the data of a run are on this machine, and its paths mean the same in this directory."""
    return not is_elsewhere(config) and record.starts[-1].get("directory") == str(Path.cwd())


def _one_for_each_data_set(jobs: Sequence[Job], records: Sequence[Record]) -> Iterable[Record]:
    """The latest finished run of each data set: data of another seed or batch size come from the same files."""
    by_words = {}
    for job, record in zip(jobs, records, strict=True):
        if job.state == "done":
            keys = [key_of(word) for word in job.words]
            chosen = [key in CHOOSE_DATA or key.startswith("data.") for key in keys]
            by_words[tuple(word for word, counts in zip(job.words, chosen, strict=True) if counts)] = record
    by_names = {}
    for record in by_words.values():
        names = {key: value for key, value in flat(record.nested_config["data"]).items() if isinstance(value, str)}
        by_names[str(names)] = record
    return by_names.values()
