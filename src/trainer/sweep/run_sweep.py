"""Run: the jobs of a sweep that are not done, by one of Hydra's launchers or side by side in processes of their own."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trainer.artifacts.ledger_file import optimized_metrics
from trainer.config.compose import Composer, key_of
from trainer.config.multirun import quoted, unresolved
from trainer.core.errors import UserError
from trainer.core.metric_direction import Direction, direction_of
from trainer.core.rank import processes_started
from trainer.report.comparison import report_of
from trainer.report.formats import as_table, write
from trainer.sweep.cached_config_loader import SweepLoader
from trainer.sweep.executors.base import Engine
from trainer.sweep.executors.factory import engine_of
from trainer.sweep.job_queue import Turns
from trainer.sweep.jobs.change_detection import is_any_left, refuse_changes_since
from trainer.sweep.jobs.grid import optimized_by
from trainer.sweep.jobs.identity import Identities
from trainer.sweep.jobs.registration import cells, enrol
from trainer.sweep.jobs.shared_settings import is_of_sweep
from trainer.sweep.parallel_runner import SideBySide
from trainer.sweep.progress_display import Board
from trainer.sweep.search.pareto_front import lines_of_best
from trainer.sweep.search.search import PRUNING, Search, plan_of
from trainer.sweep.status_table import counts
from trainer.sweep.store.job_store import TO_RUN, Job, Ledger
from trainer.sweep.store.trial_store import Trials
from trainer.sweep.tracked_task import Recorded

log = logging.getLogger(__name__)
MOST_TOLD = 10  # failed jobs
Launch = Callable[[Sequence[Job], int], None]  # jobs, and how many were launched before them
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
        UserError: A job has failed; the others have been run. Or torchrun or srun has started several processes.
    """
    _refuse_several_processes()
    directory = Path(config.hydra.sweep.dir)
    directory.mkdir(parents=True, exist_ok=True)
    folder = _folder(context)
    own = [f"--config-dir={folder}"] if folder else []
    of_hydra = unresolved(config.hydra.overrides.hydra)
    lasting = [word for word in typed if key_of(word) != "accept_changes"]  # that is asked for each time
    whole = [*own, *of_hydra, *lasting]
    typed = [*(word for word in of_hydra if not is_of_sweep(word)), *typed]
    with _hydra_kept():
        composer = Composer(folder)
        identities = Identities(composer)
        ledger, search = open_ledger(directory, composer, identities, typed)
        new = {} if search else cells(composer, identities, typed)
        directions = search.plan.goal.optimized if search else optimized_by(composer, typed)
        if is_any_left(ledger, new, is_search_open=bool(search and search.more)):
            refuse_changes_since(ledger, config)
        added = enrol(ledger, composer, identities, whole, new)
        Trials(directory).optimize(directions)
    _warn_of_directions(directions)
    if not (directory / "multirun.yaml").is_file():
        OmegaConf.save(config, directory / "multirun.yaml")
    ledger.notice_the_dead()
    jobs = ledger.jobs()
    log.info(_counted(directory, jobs, added, search))
    before = {job.number: job.tries for job in jobs}
    turns = Turns(ledger, config.sweep.retries, config.sweep.fail_fast, _hydra_kept()(search.next) if search else None)
    engine = engine_of(config, ledger)
    number = _side_by_side(turns, engine, config, own, search) if engine else 0
    if not engine:
        _launch(turns, _launcher(ledger, config, context, composer, task, search), batch)
    tell(ledger)
    if number:
        raise SystemExit(128 + number)  # as shells have it
    refuse_failed(ledger, before, is_search=search is not None)


def _refuse_several_processes() -> None:
    if (started := processes_started()) > 1:
        raise UserError(
            f"--multirun: {started} processes were started for a sweep; expected one, which starts those of each job"
            "\n  on Slurm: hydra/launcher=submitit_slurm hydra.launcher.tasks_per_node=N"
        )


def _warn_of_directions(directions: Mapping[str, Direction]) -> None:
    for metric, direction in directions.items():
        if direction_of(metric) not in (None, direction):
            log.warning(f"warning: sweep.direction: {direction} looks for the worst '{metric}'")


def open_ledger(
    directory: Path, composer: Composer, identities: Identities, typed: Sequence[str]
) -> tuple[Ledger, Search | None]:
    """The ledger of a sweep, and of a search what chooses its jobs.

    Raises:
        UserError: The directory holds a sweep of the other kind, or another search.
    """
    plan = plan_of(composer, typed)
    if plan:
        trials = Trials.opened(directory)
        search = Search(trials, composer, identities, plan)
        trials.settle(plan.settings())
        return trials, search
    ledger = Ledger.opened(directory)
    if Trials(directory).settings():
        raise UserError(f"'{directory}' holds a search; go on with it by sweep.trials=N, or name a new directory")
    return ledger, None


def _launch(turns: Turns, launch: Launch, batch: int | None) -> None:
    """Give the jobs to the launcher; those of a search are chosen when those before them have ended."""
    start = 0
    while part := turns.next(batch):
        turns.began(part)
        launch(part, start)
        start += len(part)


def _launcher(
    ledger: Ledger,
    config: DictConfig,
    context: HydraContext,
    composer: Composer,
    task: Callable[[Any], Any],
    search: Search | None,
) -> Launch:
    """Gives jobs to the launcher that `hydra/launcher` names."""
    quick = replace(context, config_loader=SweepLoader(context.config_loader, composer))

    def launch(part: Sequence[Job], start: int) -> None:
        recorded = Recorded(task, ledger.sweep.absolute(), {job.number: job for job in part}, config.sweep.fail_fast)
        launcher = Plugins.instance().instantiate_launcher(hydra_context=quick, task_function=recorded, config=config)
        words = [[*job.words, *_beside(job, search, config), f"hydra.sweep.subdir={job.number}"] for job in part]
        launcher.launch(words, initial_job_idx=start)

    return launch


def _side_by_side(turns: Turns, engine: Engine, config: DictConfig, own: list[str], search: Search | None) -> int:
    """Run each job in a process of its own; the signal that ended it before all had run, else 0."""
    ledger = turns.ledger
    of_hydra = [word for word in unresolved(config.hydra.overrides.hydra) if not key_of(word).startswith(NOT_OF_A_JOB)]

    def command(job: Job) -> list[str]:
        place = quoted(ledger.sweep / str(job.number))
        alone = [f"hydra.run.dir={place}", "hydra.mode=RUN"]  # else an experiment with a sweep would start it again
        return [*own, *job.words, *of_hydra, *_beside(job, search, config), *alone]

    board = Board(optimized_metrics(ledger.sweep), engine.places(), search.wanted if search else 0)
    return SideBySide(turns, engine, command, board).run()


def tell(ledger: Ledger) -> None:
    """Say how the sweep stands, and what its results show."""
    jobs, best = ledger.jobs(), [*lines_of_best(Trials(ledger.sweep))]
    if sum(job.state == "done" for job in jobs) > 1:
        try:
            made = report_of(ledger.sweep)
        except UserError as error:  # runs that only test, for example
            log.info(f"no report: {error}")
        else:
            write(made, ledger.sweep)
            Console().print(as_table(made, searched=bool(best)))
            for line in made.mixed:
                log.warning(f"warning: {line}")
            for line in [*made.tests, *made.notes]:
                log.info(line)
    for line in best:
        log.info(line)
    log.info(f"sweep  {ledger.sweep}: {counts(jobs)}")


def refuse_failed(ledger: Ledger, before: Mapping[int, int], *, is_search: bool = False) -> None:
    """End with what went wrong with jobs that were begun by now.

    Args:
        ledger: Of the sweep.
        before: How often each job had been begun before, by its number.
        is_search: Whether to end well all the same if any trial has succeeded: a search learns from those that fail.

    Raises:
        UserError: A job has failed, or was stopped from outside.
    """
    jobs = ledger.jobs()
    failed = [job for job in jobs if job.state in ("failed", "interrupted") and job.tries > before.get(job.number, 0)]
    if failed:
        told = [f"\n  job {job.number} ({' '.join(job.words)}): {job.error or job.state}" for job in failed]
        more = f"\n  and {len(failed) - MOST_TOLD} more" if len(failed) > MOST_TOLD else ""
        said = f"{len(failed)} of {len(jobs)} jobs failed:{''.join(told[:MOST_TOLD])}{more}"
        if is_search and any(job.state == "done" for job in jobs) and all(job.state == "failed" for job in failed):
            log.warning(f"{said}\n  they stay failed trials; once more: trainer sweep resume DIR sweep.retries=1")
            return
        raise UserError(f"{said}\n  once they can run: trainer sweep resume {ledger.sweep}")


def _beside(job: Job, search: Search | None, config: DictConfig) -> list[str]:
    """Words beside those of a job: begun before, it goes on from its last checkpoint; in a search it may be pruned."""
    again = ["resume=auto", *["accept_changes=true"] * bool(config.get("accept_changes"))] if job.tries else []
    return again + ([PRUNING] if search and search.plan.goal.prunes else [])


def _counted(directory: Path, jobs: Sequence[Job], added: int, search: Search | None) -> str:
    if search:
        return f"search {directory}: {len(jobs)} of {search.wanted} trials begun"
    to_run = sum(job.state in TO_RUN for job in jobs)
    return f"sweep  {directory}: {len(jobs)} jobs, {added} of them new, {to_run} to run"


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
