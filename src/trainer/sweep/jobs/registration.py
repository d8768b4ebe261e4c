"""Enrol: from a command to jobs in the ledger; a config that has changed since is named, and never mixed in."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.artifacts.fingerprint import essence, placeless
from trainer.artifacts.run_record import Record, flat
from trainer.config.compose import Composer, key_of
from trainer.core.errors import UserError
from trainer.sweep.jobs.grid import expand
from trainer.sweep.jobs.identity import Identities, composed
from trainer.sweep.jobs.shared_settings import is_of_sweep
from trainer.sweep.store.job_store import Job, Ledger

log = logging.getLogger(__name__)


def cells(composer: Composer, identities: Identities, typed: Sequence[str]) -> dict[str, list[str]]:
    """The words of each job that a command names, by its identity; a job that is named twice is told and kept once.

    Raises:
        UserError: A word is wrong.
    """
    found: dict[str, list[str]] = {}
    for number, whole in enumerate(expand(composer, typed)):
        words = [word for word in whole if not is_of_sweep(word)]
        identity = _identity(composer, identities, words)
        if identity in found:
            log.warning(f"named twice, run once: {' '.join(found[identity])}  =  {' '.join(words)}  (cell {number})")
        found.setdefault(identity, words)
    return found


def enrol(
    ledger: Ledger, composer: Composer, identities: Identities, command: Sequence[str], new: Mapping[str, list[str]]
) -> int:
    """Write the jobs of a command into the ledger.

    Args:
        ledger: Of the sweep.
        composer: Makes configs.
        identities: Tells them apart.
        command: Its words.
        new: The jobs, as `cells` has them.

    Returns:
        int: How many were not in it yet.

    Raises:
        UserError: A config has changed since jobs of the sweep were begun.
    """
    for number, identity in refuse_changes(ledger, composer, identities, new).items():
        ledger.replan(number, identity)
    return ledger.enrol(command, new)


def refuse_changes(
    ledger: Ledger, composer: Composer, identities: Identities, new: Mapping[str, list[str]]
) -> dict[int, str]:
    """Refuse to mix jobs of a changed config with those that were begun before.

    Returns:
        dict: By number, the new identities of jobs that never began, or that another version of this package has named.

    Raises:
        UserError: Names what has changed.
    """
    there = ledger.jobs()
    _refuse_other_settings(ledger.sweep, there, new, identities)
    now = {job.number: _identity(composer, identities, job.words) for job in there}
    changed = [job for job in there if now[job.number] != job.identity]
    for job in changed:
        if job.tries:
            _refuse_changed(ledger.sweep, job, composer)
    return {job.number: now[job.number] for job in changed}


def _identity(composer: Composer, identities: Identities, words: Sequence[str]) -> str:
    try:
        return identities.of(words)
    except Exception:  # Hydra's own errors, and what its code stumbles over
        composer.config_of(words)  # which says it better
        raise


def _refuse_other_settings(
    sweep: Path, there: Sequence[Job], new: Mapping[str, list[str]], identities: Identities
) -> None:
    """Refuse words that are the same for all jobs of the command, and were others for all jobs before.

    A key that varies is an axis, and may get further values. One without a part in the numbers may change.
    """
    if not there or new.keys() <= {job.identity for job in there}:
        return
    before, now = _fixed([job.words for job in there]), _fixed([*new.values()])
    words = [word for job in there for word in job.words] + [word for job in new.values() for word in job]
    axes = {key_of(word) for word in words if word not in {*before.values(), *now.values()}}
    first = next(iter(new.values()))
    told = [
        f"\n  {key}: {_value(before, key)} there, {_value(now, key)} here"
        for key in {**before, **now}
        if before.get(key) != now.get(key) and key not in axes and not identities.stays(first, key, before.get(key))
    ]
    if told:
        offer = "name a new directory; or make it an axis, with both values separated by a comma"
        raise UserError(f"the sweep in '{sweep}' has other settings:{''.join(told)}\n  {offer}")


def _value(fixed: dict[str, str], key: str) -> str:
    return fixed[key].partition("=")[2] if key in fixed else "not set"


def _fixed(jobs: Sequence[Sequence[str]]) -> dict[str, str]:
    """Words that all jobs have, by key."""
    shared = set(jobs[0]).intersection(*map(set, jobs))
    return {key_of(word): word for word in jobs[0] if word in shared}


def _refuse_changed(sweep: Path, job: Job, composer: Composer) -> None:
    """Refuse to go on if a file that a job is composed of has changed since the job was begun.

    Raises:
        UserError: Names the keys.
    """
    directory = sweep / str(job.number)
    told = ""
    there = placeless(Record(directory).nested_config, directory.absolute())
    if there:
        before, now = flat(essence(there)), flat(essence(composed(composer, job.words)))
        told = "".join(
            f"\n  {key}: {before.get(key, 'absent')} then, {now.get(key, 'absent')} now"
            for key in [*{**before, **now}][:1000]
            if before.get(key) != now.get(key)
        )
    if there and not told:
        return
    raise UserError(
        f"the config of job {job.number} of '{sweep}' ({' '.join(job.words)}) has changed since it was begun:{told}\n"
        "  put it back as it was, or begin a new sweep in a new directory"
    )
