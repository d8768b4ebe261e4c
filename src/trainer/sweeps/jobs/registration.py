"""Registration of the jobs of a command in the ledger, with a check that earlier jobs have the same config."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.artifacts.fingerprint import drop_ignored, relative_paths
from trainer.artifacts.run_record import RunRecord
from trainer.config.compose import Composer, get_override_key
from trainer.core.errors import UserError
from trainer.core.mappings import diff_mappings, flatten
from trainer.sweeps.jobs.grid import expand
from trainer.sweeps.jobs.identity import Identities, compose_resolved
from trainer.sweeps.jobs.shared_settings import is_sweep_setting
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger

log = logging.getLogger(__name__)
MAX_LISTED_KEYS = 1000


def jobs_by_identity(composer: Composer, identities: Identities, overrides: Sequence[str]) -> dict[str, list[str]]:
    """Return the overrides of each job of a command by its identity; duplicates are logged and left out.

    Raises:
        UserError: An override is invalid.
    """
    jobs: dict[str, list[str]] = {}
    for number, expanded in enumerate(expand(composer, overrides)):
        job = [override for override in expanded if not is_sweep_setting(override)]
        identity = _compute_identity(composer, identities, job)
        if identity in jobs:
            log.warning(f"duplicate, run once: {' '.join(jobs[identity])}  =  {' '.join(job)}  (job {number})")
        jobs.setdefault(identity, job)
    return jobs


def register_jobs(
    ledger: Ledger, composer: Composer, identities: Identities, command: Sequence[str], new: Mapping[str, list[str]]
) -> int:
    """Write the jobs of a command to the ledger.

    Args:
        ledger: Ledger of the sweep.
        composer: Composer of the configs.
        identities: Identities of the jobs.
        command: Overrides of the command.
        new: Jobs as returned by `jobs_by_identity`.

    Returns:
        int: Number of jobs that the ledger did not contain.

    Raises:
        UserError: A config has changed since jobs of the sweep were started.
    """
    for number, identity in require_unchanged_configs(ledger, composer, identities, new).items():
        ledger.update_identity(number, identity)
    return ledger.add_jobs(command, new)


def require_unchanged_configs(
    ledger: Ledger, composer: Composer, identities: Identities, new: Mapping[str, list[str]]
) -> dict[int, str]:
    """Raise if the config of a started job has changed.

    Returns:
        dict: The new identities, by number, of jobs that were never started or whose identity another version of this
            package has computed.

    Raises:
        UserError: A config has changed; the message lists the changes.
    """
    jobs = ledger.jobs()
    _require_same_settings(ledger.sweep, jobs, new, identities)
    current = {job.number: _compute_identity(composer, identities, job.overrides) for job in jobs}
    changed = [job for job in jobs if current[job.number] != job.identity]
    for job in changed:
        if job.attempts:
            _require_unchanged_config(ledger.sweep, job, composer)
    return {job.number: current[job.number] for job in changed}


def _compute_identity(composer: Composer, identities: Identities, overrides: Sequence[str]) -> str:
    try:
        return identities.of(overrides)
    except Exception:  # any error of Hydra or OmegaConf
        composer.compose_checked(overrides)  # raises an error with a better message
        raise


def _require_same_settings(
    sweep: Path, jobs: Sequence[Job], new: Mapping[str, list[str]], identities: Identities
) -> None:
    """Raise if a setting that all jobs share has another value in the command.

    A key that varies is an axis, which may get further values. A key that does not affect the results may change.
    """
    if not jobs or new.keys() <= {job.identity for job in jobs}:
        return
    old_jobs = [job.overrides for job in jobs]
    new_jobs = [*new.values()]
    old_common = _common_overrides(old_jobs)
    new_common = _common_overrides(new_jobs)
    common = {*old_common.values(), *new_common.values()}
    axes = {get_override_key(text) for overrides in old_jobs + new_jobs for text in overrides if text not in common}
    changes = "".join(
        f"\n  {key}: {_format_value(override)} in the sweep, {_format_value(other)} in this command"
        for key, (override, other) in diff_mappings(old_common, new_common, absent=None).items()
        if key not in axes and not identities.is_invariant_to(new_jobs[0], key, override)
    )
    if changes:
        hint = "choose a new directory, or make the key an axis: both values, separated by a comma"
        raise UserError(f"the sweep in '{sweep}' has other settings:{changes}\n  {hint}")


def _format_value(override: str | None) -> str:
    return override.partition("=")[2] if override else "not set"


def _common_overrides(jobs: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the overrides that all jobs have, by key."""
    common = set(jobs[0]).intersection(*map(set, jobs))
    return {get_override_key(override): override for override in jobs[0] if override in common}


def _require_unchanged_config(sweep: Path, job: Job, composer: Composer) -> None:
    """Raise if a file that the config of a job is composed of has changed since the job was started.

    Raises:
        UserError: The config has changed; the message lists the keys.
    """
    directory = sweep / str(job.number)
    recorded = relative_paths(RunRecord(directory).nested_config, directory.absolute())
    changes = {}
    if recorded:
        current = compose_resolved(composer, job.overrides)
        changes = diff_mappings(flatten(drop_ignored(recorded)), flatten(drop_ignored(current)), "absent")
        if not changes:
            return
    text = "".join(f"\n  {key}: {old} then, {new} now" for key, (old, new) in [*changes.items()][:MAX_LISTED_KEYS])
    raise UserError(
        f"the config of job {job.number} of '{sweep}' ({' '.join(job.overrides)}) has changed since its start:{text}\n"
        "  restore it, or start a new sweep in a new directory"
    )
