"""Execution of the unfinished jobs of a sweep, by a launcher of Hydra or in parallel processes."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.ledger_file import read_optimized_metrics
from trainer.config.compose import Composer, get_override_key
from trainer.config.multirun import get_raw_overrides, quote_path
from trainer.core.errors import UserError
from trainer.core.metric_direction import infer_direction
from trainer.core.rank import count_launched_processes
from trainer.sweeps.cached_config_loader import CachedConfigLoader
from trainer.sweeps.executors.base import Executor
from trainer.sweeps.executors.factory import create_executor
from trainer.sweeps.job_queue import JobQueue
from trainer.sweeps.jobs.change_detection import has_remaining_jobs, require_unchanged_code_and_data
from trainer.sweeps.jobs.grid import compose_optimized_metrics
from trainer.sweeps.jobs.identity import Identities
from trainer.sweeps.jobs.registration import jobs_by_identity, register_jobs
from trainer.sweeps.jobs.shared_settings import is_sweep_setting
from trainer.sweeps.jobs.trusted_jobs import require_trusted_jobs
from trainer.sweeps.other_processes import next_jobs, require_no_running_jobs
from trainer.sweeps.parallel_runner import ParallelRunner
from trainer.sweeps.progress_display import SweepProgress
from trainer.sweeps.search.search import PRUNING_OVERRIDE, Search, plan_search
from trainer.sweeps.store.dead_jobs import mark_dead_jobs
from trainer.sweeps.store.job import RUNNABLE_STATES, Job
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.trial_store import TrialLedger
from trainer.sweeps.summary import print_summary, require_no_failures
from trainer.sweeps.tracked_task import TrackedTask

log = logging.getLogger(__name__)
LAUNCH_PREFIXES = ("hydra/launcher", "hydra/sweeper", "hydra.launcher", "hydra.sweeper", "hydra.sweep", "hydra.mode")


def run_sweep(
    config: DictConfig, context: HydraContext, task: Callable[[Any], Any], overrides: Sequence[str], batch: int | None
) -> None:
    """Run the unfinished jobs of a sweep: those of this command, and those that earlier commands have left.

    Args:
        config: Config of the sweep, as Hydra composed it.
        context: Context of Hydra.
        task: Function that runs a job.
        overrides: Overrides of the command line without those of Hydra's own settings.
        batch: Maximum number of jobs that a launcher receives at a time; None for all.

    Raises:
        UserError: A job has failed, after the others were run; or torchrun or srun has started several processes.
    """
    _require_single_process()
    directory = Path(config.hydra.sweep.dir)
    directory.mkdir(parents=True, exist_ok=True)
    config_dir = _find_config_dir(context)
    options = [f"--config-dir={config_dir}"] if config_dir else []
    hydra_overrides = get_raw_overrides(config.hydra.overrides.hydra)
    repeatable = [override for override in overrides if get_override_key(override) != "accept_changes"]
    command = [*options, *hydra_overrides, *repeatable]  # each command must accept changes itself
    overrides = [*(override for override in hydra_overrides if not is_sweep_setting(override)), *overrides]
    with _preserved_hydra_state():
        composer = Composer(config_dir)
        ledger, search = _register(config, directory, composer, command, overrides)
    if not (directory / "multirun.yaml").is_file():
        OmegaConf.save(config, directory / "multirun.yaml")
    attempts = {job.number: job.attempts for job in ledger.jobs()}
    next_trial = _preserved_hydra_state()(search.next) if search else None
    queue = JobQueue(ledger, config.sweep.retries, config.sweep.fail_fast, next_trial)
    executor = create_executor(config, ledger, composer)
    signal_number = 0
    try:
        if executor:
            signal_number = _run_in_parallel(queue, executor, config, options, search)
        else:
            _run_with_launcher(queue, config, context, composer, task, search, batch)
    except (SystemExit, KeyboardInterrupt):  # a signal that has stopped a job of a launcher
        print_summary(ledger)
        raise
    print_summary(ledger)
    if signal_number:
        raise SystemExit(128 + signal_number)  # as in a shell
    require_no_failures(ledger, attempts, is_search=search is not None)
    require_no_running_jobs(ledger)


def _require_single_process() -> None:
    if (count := count_launched_processes()) > 1:
        raise UserError(
            f"--multirun: {count} processes were started for a sweep; expected one, which starts those of each job"
            "\n  on Slurm: hydra/launcher=submitit_slurm hydra.launcher.tasks_per_node=N"
        )


def _register(
    config: DictConfig, directory: Path, composer: Composer, command: Sequence[str], overrides: Sequence[str]
) -> tuple[TrialLedger, Search | None]:
    """Write the jobs of a command to the ledger; return the ledger, and the search if the sweep is one.

    Raises:
        UserError: The directory contains a sweep of the other kind, another search, or jobs of a changed config.
    """
    identities = Identities(composer)
    plan = plan_search(composer, overrides)
    if plan:
        ledger = TrialLedger.open_or_create(directory)
        search = Search(ledger, composer, identities, plan)
        ledger.save_settings(plan.settings())
        new = {}
    else:
        ledger = TrialLedger(Ledger.open_or_create(directory).sweep)
        search = None
        if ledger.settings():
            raise UserError(f"'{directory}' contains a search; continue it with sweep.n_trials=N or use another path")
        new = jobs_by_identity(composer, identities, overrides)
    require_trusted_jobs(ledger, composer)
    directions = plan.objective.optimized if plan else compose_optimized_metrics(composer, overrides)
    if has_remaining_jobs(ledger, new, is_search_open=bool(search and search.remaining)):
        require_unchanged_code_and_data(ledger, config)
    n_new = register_jobs(ledger, composer, identities, command, new)
    ledger.save_directions(directions)
    for metric, direction in directions.items():
        if infer_direction(metric) not in (None, direction):
            log.warning(f"warning: sweep.direction: {direction} looks for the worst '{metric}'")
    mark_dead_jobs(ledger)
    jobs = ledger.jobs()
    if search:
        log.info(f"search {directory}: {len(jobs)} of {search.n_trials} trials started")
    else:
        n_runnable = sum(job.state in RUNNABLE_STATES for job in jobs)
        log.info(f"sweep  {directory}: {len(jobs)} jobs, {n_new} of them new, {n_runnable} to run")
    return ledger, search


def _run_with_launcher(
    queue: JobQueue,
    config: DictConfig,
    context: HydraContext,
    composer: Composer,
    task: Callable[[Any], Any],
    search: Search | None,
    batch: int | None,
) -> None:
    """Run jobs in batches by a launcher of Hydra; a trial of a search is chosen after the end of the previous one."""
    context = replace(context, config_loader=CachedConfigLoader(context.config_loader, composer))
    sweep = queue.ledger.sweep.absolute()
    while jobs := next_jobs(queue, batch):
        queue.mark_started(jobs)
        tracked = TrackedTask(
            task, sweep, {job.number: job for job in jobs}, config.sweep.fail_fast, search.n_trials if search else 0
        )
        launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=tracked, config=config)
        overrides = [
            [*job.overrides, *_extra_overrides(job, search, config), f"hydra.sweep.subdir={job.number}"] for job in jobs
        ]
        launcher.launch(overrides, initial_job_idx=jobs[0].number)  # the others have the next numbers, unless resumed


def _run_in_parallel(
    queue: JobQueue, executor: Executor, config: DictConfig, options: list[str], search: Search | None
) -> int:
    """Run each job in a separate process; return the number of the signal that stopped the sweep, or 0."""
    hydra_overrides = [
        override
        for override in get_raw_overrides(config.hydra.overrides.hydra)
        if not get_override_key(override).startswith(LAUNCH_PREFIXES)
    ]

    def command(job: Job) -> list[str]:
        run_dir = f"hydra.run.dir={quote_path(queue.ledger.sweep / str(job.number))}"
        fixed = [run_dir, "hydra.mode=RUN"]  # else an experiment that contains a sweep would start it again
        extra = _extra_overrides(job, search, config)
        if "resume=auto" not in extra and (queue.ledger.sweep / str(job.number)).exists():
            extra.append("resume=auto")  # Hydra has created the directory of a job that was killed before its start
        return [*options, *job.overrides, *hydra_overrides, *extra, *fixed]

    n_trials = search.n_trials if search else 0
    progress = SweepProgress(read_optimized_metrics(queue.ledger.sweep), executor.capacity(), n_trials)
    return ParallelRunner(queue, executor, command, progress).run()


def _extra_overrides(job: Job, search: Search | None, config: DictConfig) -> list[str]:
    """Return further overrides of a job: to resume from its last checkpoint, and to prune it in a search."""
    resume = ["resume=auto", *["accept_changes=true"] * bool(config.get("accept_changes"))] if job.attempts else []
    return resume + ([PRUNING_OVERRIDE] if search and search.plan.objective.has_pruner else [])


def _find_config_dir(context: HydraContext) -> str | None:
    """Return the directory of `--config-dir`."""
    paths = context.config_loader.get_search_path().get_path()
    path = next((part.path for part in paths if part.provider == "command-line"), None)
    return path.removeprefix("file://") if path else None


@contextmanager
def _preserved_hydra_state() -> Iterator[None]:
    """Restore Hydra's global state, which is changed by composing other configs."""
    config = HydraConfig.instance().cfg
    name = JobRuntime.instance().get("name")
    try:
        yield
    finally:
        HydraConfig.instance().cfg = config
        JobRuntime.instance().set("name", name)
