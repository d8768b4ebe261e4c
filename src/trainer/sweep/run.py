"""Run: the jobs of a sweep that are not done, by one of Hydra's launchers or side by side in processes of their own."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trainer.compose import Composer
from trainer.errors import UserError
from trainer.sweep.board import Board
from trainer.sweep.engine import Engine
from trainer.sweep.engines import engine_of
from trainer.sweep.enrol import cells, enrol
from trainer.sweep.forms import as_table, write
from trainer.sweep.identity import Identities, key_of
from trainer.sweep.ledger import TO_RUN, Job, Ledger
from trainer.sweep.record import Recorded
from trainer.sweep.report import report_of
from trainer.sweep.side_by_side import SideBySide
from trainer.sweep.table import counts

log = logging.getLogger(__name__)
MOST_TOLD = 10  # failed jobs
NOT_OF_A_JOB = ("hydra/launcher", "hydra/sweeper", "hydra.launcher", "hydra.sweeper", "hydra.sweep", "hydra.mode")


def run_sweep(
    config: DictConfig, context: HydraContext, task: Callable[[Any], Any], typed: Sequence[str], batch: int | None
) -> None:
    """Run what is not done of a sweep: the jobs that its command names, and those that earlier ones have left.

    Args:
        config: As Hydra composed it for the sweep.
        context: Hydra's.
        task: The function of a job.
        typed: The words of the command line that are not Hydra's own.
        batch: Jobs that are given to a launcher at a time; None for all.

    Raises:
        UserError: A job has failed; the others have been run.
    """
    directory = Path(config.hydra.sweep.dir)
    directory.mkdir(parents=True, exist_ok=True)
    folder = _folder(context)
    with _hydra_kept():
        composer = Composer(folder)
        identities = Identities(composer)
        new = cells(composer, identities, typed)
        ledger = Ledger.opened(directory)
        own = [f"--config-dir={folder}"] if folder else []
        whole = [*own, *config.hydra.overrides.hydra, *typed]
        added = enrol(ledger, composer, identities, whole, new)
    if not (directory / "multirun.yaml").is_file():
        OmegaConf.save(config, directory / "multirun.yaml")
    ledger.notice_the_dead()
    jobs = ledger.jobs()
    log.info(f"sweep  {directory}: {len(jobs)} jobs, {added} of them new, {len(_to_run(jobs))} to run")
    before = {job.number: job.tries for job in jobs}
    number = 0
    if engine := engine_of(config, ledger):
        number = _side_by_side(ledger, engine, config, own)
    else:
        _launch(ledger, config, context, task, batch)
    tell(ledger)
    if number:
        raise SystemExit(128 + number)  # as shells have it
    refuse_failed(ledger, before)


def _launch(
    ledger: Ledger, config: DictConfig, context: HydraContext, task: Callable[[Any], Any], batch: int | None
) -> None:
    """Give the jobs to the launcher, and those that fail once more as often as `sweep.retries` says."""
    tried = {job.number: job.tries for job in ledger.jobs()}
    for _ in range(1 + config.sweep.retries):
        todo = [job for job in _to_run(ledger.jobs()) if job.tries - tried[job.number] <= config.sweep.retries]
        for start in range(0, len(todo), batch or len(todo) or 1):
            part = todo[start : start + (batch or len(todo))]
            recorded = Recorded(
                task, ledger.sweep.absolute(), {job.number: job for job in part}, config.sweep.fail_fast
            )
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=context, task_function=recorded, config=config
            )
            words = [[*job.words, *_go_on(job), f"hydra.sweep.subdir={job.number}"] for job in part]
            launcher.launch(words, initial_job_idx=start)
        if config.sweep.fail_fast:
            break


def _side_by_side(ledger: Ledger, engine: Engine, config: DictConfig, own: list[str]) -> int:
    """Run each job in a process of its own; the signal that ended it before all had run, else 0."""
    settings = config.sweep
    of_hydra = [word for word in config.hydra.overrides.hydra if not key_of(word).startswith(NOT_OF_A_JOB)]

    def command(job: Job) -> list[str]:
        place = quoted(ledger.sweep / str(job.number))
        return [*own, *job.words, *of_hydra, *_go_on(job), f"hydra.run.dir={place}"]

    board = Board(config.optimized_metric, settings.direction, engine.places())
    return SideBySide(ledger, engine, command, settings.retries, settings.fail_fast, board).run()


def tell(ledger: Ledger) -> None:
    """Say how the sweep stands, and what its results show."""
    jobs = ledger.jobs()
    if sum(job.state == "done" for job in jobs) > 1:
        with suppress(UserError):  # runs that only test have nothing to compare
            made = report_of(ledger.sweep)
            write(made, ledger.sweep)
            Console().print(as_table(made))
    log.info(f"sweep  {ledger.sweep}: {counts(jobs)}")


def refuse_failed(ledger: Ledger, before: Mapping[int, int]) -> None:
    """End with what went wrong with jobs that were begun by now.

    Args:
        ledger: Of the sweep.
        before: How often each job had been begun before, by its number.

    Raises:
        UserError: A job has failed, or was stopped from outside.
    """
    jobs = ledger.jobs()
    failed = [job for job in jobs if job.state in ("failed", "interrupted") and job.tries > before.get(job.number, 0)]
    if failed:
        told = [f"\n  job {job.number} ({' '.join(job.words)}): {job.error or job.state}" for job in failed]
        more = f"\n  and {len(failed) - MOST_TOLD} more" if len(failed) > MOST_TOLD else ""
        offer = f"once they can run: trainer sweep resume {ledger.sweep}"
        raise UserError(f"{len(failed)} of {len(jobs)} jobs failed:{''.join(told[:MOST_TOLD])}{more}\n  {offer}")


def _go_on(job: Job) -> list[str]:
    """For a job that was begun before: from its last checkpoint, in its own directory."""
    return ["resume=auto"] if job.tries else []


def quoted(path: Path) -> str:
    """A path as a value of Hydra's grammar."""
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _to_run(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.state in TO_RUN]


def _folder(context: HydraContext) -> str | None:
    """What `--config-dir` says."""
    paths = context.config_loader.get_search_path().get_path()
    given = [part.path for part in paths if part.provider == "command-line"]
    return given[0].removeprefix("file://") if given and given[0] else None


@contextmanager
def _hydra_kept() -> Iterator[None]:
    """Put back what composing other configs changes in Hydra's memory of this one."""
    config, name = HydraConfig.instance().cfg, JobRuntime.instance().get("name")
    try:
        yield
    finally:
        HydraConfig.instance().cfg = config
        JobRuntime.instance().set("name", name)
