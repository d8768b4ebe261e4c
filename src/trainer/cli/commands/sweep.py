"""Plan, inspect, resume, extend or evaluate a sweep.

trainer sweep plan OVERRIDES... [--json]       list the jobs of `trainer -m OVERRIDES`; or: trainer -m OVERRIDES --plan
trainer sweep show DIRECTORY [--json]          list the jobs of a sweep with their states
trainer sweep resume DIRECTORY [OVERRIDES...] [--force] [--trust my_package] [--json]
                                               run missing, failed and interrupted jobs
trainer sweep report DIRECTORY [--metric NAME] [--baseline OVERRIDES] [--direction min|max]
                     [--csv | --markdown | --json]
                                               group runs over seeds: intervals, differences to a baseline, best.yaml

    e.g. trainer sweep plan experiment=xor_mlp optimizer.lr=0.01,0.1 sweep.seeds=5
         trainer sweep resume outputs/xor_mlp/SWEEP
         trainer sweep resume outputs/xor_mlp/SWEEP optimizer.lr=0.01,0.1,1 sweep.workers=2

OVERRIDES of `resume` replace those of the same keys in the original command: additional values of an axis add jobs, and
finished jobs are kept. If code or data have changed, the files are listed and nothing is run; accept_changes=true runs
the remaining jobs. --force also reruns jobs whose state on another machine is `running`, if that machine is gone.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.artifacts.ledger_file import LEDGER_FILENAME
from trainer.cli.commands import parse_arguments
from trainer.cli.json_output import JSON_FLAG, JsonOutputs, print_json
from trainer.cli.main import compose_and_run
from trainer.config.command_line import parse_command_line
from trainer.config.compose import Composer, get_override_key
from trainer.config.diagnostics import raise_on_errors
from trainer.config.multirun import quote_path, resolve_sweep_directory
from trainer.config.target_allowlist import TRUST_ENV_VAR, get_trusted_packages
from trainer.core.errors import UserError, did_you_mean
from trainer.core.formatting import quote_argument
from trainer.core.rank import dispatch_by_rank, is_first_process
from trainer.reports.comparison import build_report
from trainer.reports.formats import format_best_run, format_csv, format_markdown, print_table, write_report
from trainer.reports.json_document import SweepReport, build_document
from trainer.sweeps.jobs.identity import Identities
from trainer.sweeps.jobs.registration import jobs_by_identity, require_unchanged_configs
from trainer.sweeps.jobs.shared_settings import compose_shared_config
from trainer.sweeps.jobs.trusted_jobs import is_own_sweep, require_trusted_jobs
from trainer.sweeps.preflight import MAX_FULLY_CHECKED_JOBS, check_overrides
from trainer.sweeps.search.pareto_front import format_best_trials
from trainer.sweeps.search.search import Search, SearchPlan, plan_search
from trainer.sweeps.status_table import format_counts, format_estimate, format_job_lines
from trainer.sweeps.store.dead_jobs import find_dead_jobs, mark_dead_jobs
from trainer.sweeps.store.job import RUNNABLE_STATES, Job
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.slurm_queue import SlurmJob, find_slurm_jobs
from trainer.sweeps.store.trial_store import TrialLedger


@dataclass(frozen=True)
class PlannedSearch:
    """Plan of a search, whose later trials depend on the results of the first ones.

    Args:
        space: Dimensions of the search space by key.
        fixed: Overrides of all trials.
        goal: Metrics with their directions, sampler and pruner.
        trials: Total number of trials.
        jobs: Trials that exist, and the next ones.
    """

    space: dict[str, Any]
    fixed: list[str]
    goal: dict[str, Any]
    trials: int
    jobs: list[Job]


@dataclass(frozen=True)
class ListedJob(Job):
    """Job of a sweep with its entry in the queue of Slurm.

    Args:
        slurm: Job of Slurm; null unless the job is running there.
    """

    slurm: SlurmJob | None = None


JSON_OUTPUTS: JsonOutputs = {
    "sweep plan": (list[Job], "All jobs, with the states of those that exist."),
    "sweep plan sweep.n_trials=N": (PlannedSearch, "The plan of a search."),
    "sweep show": (list[ListedJob], "All jobs."),
    "sweep resume": (list[ListedJob], "All jobs after the sweep. The exit status is that of the sweep."),
    "sweep report": (SweepReport, "The comparison; no file is written."),
}


def main(argv: list[str]) -> int:
    """Run a subcommand; return 0, or the exit status of the sweep for `resume`."""
    subcommands = {"plan": plan, "show": show, "resume": resume, "report": report}
    if not argv or argv[0] not in subcommands:
        hint = did_you_mean(argv[0], [*subcommands]) if argv else ""
        raise UserError(f"sweep: expected plan OVERRIDES, show DIRECTORY, resume DIRECTORY or report DIRECTORY{hint}")
    return subcommands[argv[0]](argv[1:])


def plan(argv: list[str]) -> int:
    """List the jobs of a command line, with their states if the sweep exists; nothing is run or written."""
    as_json = JSON_FLAG in argv
    argv = [arg for arg in argv if arg != JSON_FLAG]
    options = parse_command_line(argv)
    composer = Composer(options.config_dir)
    raise_on_errors(composer.check_syntax(options.overrides)[1])
    identities = Identities(composer)
    shared = compose_shared_config(composer, options.overrides)
    directory = Path(resolve_sweep_directory(shared, composer.parse_overrides(options.overrides))) if shared else Path()
    sweep = directory if (directory / LEDGER_FILENAME).is_file() else None
    if search_plan := plan_search(composer, options.overrides):
        raise_on_errors(check_overrides(["--multirun", *argv]).diagnostics)
        return _plan_search(sweep, composer, identities, search_plan, as_json=as_json)
    planned = jobs_by_identity(composer, identities, options.overrides)
    is_checked = len(planned) <= MAX_FULLY_CHECKED_JOBS
    if is_checked:
        raise_on_errors(check_overrides(["--multirun", *argv]).diagnostics)
    jobs: list[Job] = []
    if sweep:
        ledger = Ledger(sweep)
        require_unchanged_configs(ledger, composer, identities, planned)
        jobs = ledger.jobs()
    existing = {job.identity for job in jobs}
    new = [(identity, overrides) for identity, overrides in planned.items() if identity not in existing]
    jobs += [Job(number, *item) for number, item in enumerate(new, len(jobs))]
    if as_json:
        print_json(jobs)
        return 0
    print("\n".join(format_job_lines(jobs)))
    remaining = sum(job.state in RUNNABLE_STATES for job in jobs)
    workers = shared.sweep.workers if shared else None
    print(f"{len(jobs)} jobs, {remaining} to run; {format_estimate(jobs, workers or 1)}")
    if not is_checked:
        print("all overrides are valid; the objects they build are checked before the first job starts")
    return 0


def _plan_search(
    sweep: Path | None, composer: Composer, identities: Identities, search_plan: SearchPlan, *, as_json: bool
) -> int:
    """List the space of a search, its trials and the next ones."""
    with TemporaryDirectory() as empty:
        ledger = TrialLedger(sweep) if sweep else TrialLedger.open_or_create(Path(empty))
        search = Search(ledger, composer, identities, search_plan)
        trials = ledger.jobs()
        independent = search_plan.objective.startup_trials - len(trials)  # trials that depend on no result
        upcoming = [trial.job for trial in search.preview(max(search_plan.max_parallel, independent))]
    if as_json:
        print_json(PlannedSearch(**search_plan.settings(), jobs=trials + upcoming))
        return 0
    for dimension in search_plan.space.dimensions:
        print(f"{dimension.key}: {dimension}")
    print("\n".join(format_job_lines(trials + upcoming)))
    remaining = search_plan.trials - len(trials) - len(upcoming)
    print(f"{search_plan.trials} trials by {search_plan.objective}; {len(trials)} exist, {remaining} depend on results")
    return 0


def show(argv: list[str]) -> int:
    """List the jobs of a sweep; nothing is written."""
    args = parse_arguments("sweep show", argv, "directory", json=False)
    ledger = TrialLedger(Path(args.directory))
    jobs = list_jobs(ledger)
    if args.json:
        print_json(jobs)
        return 0
    slurm_jobs = {job.number: job.slurm for job in jobs if job.slurm}
    lines = [*format_job_lines(jobs, slurm_jobs), *format_best_trials(ledger), format_counts(jobs)]
    if any(job.state == "done" for job in jobs):
        lines.append(f"results: trainer sweep report {quote_argument(args.directory)}")
    if any(job.state in RUNNABLE_STATES for job in jobs):
        lines.append(f"to resume: trainer sweep resume {quote_argument(args.directory)}")
    print("\n".join(lines))
    return 0


def list_jobs(ledger: TrialLedger) -> list[ListedJob]:
    """Return the jobs of a sweep; the state of those whose process does not exist any more is `interrupted`."""
    dead = {job.number: job for job in find_dead_jobs(ledger)}
    jobs = [dead.get(job.number, job) for job in ledger.jobs()]
    slurm_jobs = find_slurm_jobs(ledger.file, [job for job in jobs if job.state == "running"])
    return [ListedJob(**vars(job), slurm=slurm_jobs.get(job.number)) for job in jobs]


def resume(argv: list[str]) -> int:
    """Run the remaining jobs of a sweep in its original working directory."""
    args = parse_arguments("sweep resume", argv, "directory", "overrides*", force=False, trust="", json=False)
    ledger = TrialLedger(Path(args.directory))
    if not (commands := ledger.commands()):
        raise UserError(f"'{ledger.sweep}' contains no command to resume; expected the whole command: trainer -m ...")
    command, cwd = commands[-1].overrides, commands[-1].directory
    os.environ[TRUST_ENV_VAR] = ",".join(get_trusted_packages(args.trust))  # also for the processes of the jobs
    if not is_own_sweep(ledger):
        if cwd.is_dir() and cwd != Path.cwd():  # its config files would be obeyed
            raise UserError(f"you have not started the sweep in '{ledger.sweep}'; resume it in its directory: cd {cwd}")
        require_trusted_jobs(ledger, Composer())
    if args.force:
        mark_dead_jobs(ledger, include_remote=True)
    directory = args.directory
    if cwd.is_dir() and cwd != Path.cwd():  # relative paths in the config refer to it
        directory = str(Path(directory).absolute())
        os.chdir(cwd)
    overrides = _replace_overrides(command, args.overrides)
    sys.argv = [sys.argv[0], "--multirun", *overrides, f"hydra.sweep.dir={quote_path(directory)}"]
    status = dispatch_by_rank(compose_and_run)
    if args.json and is_first_process():
        print_json(list_jobs(TrialLedger(Path(directory))))
    return status


def _replace_overrides(command: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Return the overrides of a command with new values, without its directory and settings of another launcher."""
    new = {get_override_key(override): override for override in overrides}
    keys = {override: get_override_key(override) for override in command}
    dropped = ("hydra.sweep.dir", *(("hydra.launcher.",) if "hydra/launcher" in new else ()))
    original = [new.pop(keys[override], override) for override in command if not keys[override].startswith(dropped)]
    return [*original, *new.values()]


def report(argv: list[str]) -> int:
    """Print the results of a sweep and write them to its directory: report.md, report.csv, best.yaml."""
    options = {"metric": None, "baseline": None, "direction": ("min", "max"), "csv": False, "markdown": False}
    args = parse_arguments("sweep report", argv, "directory", **options, json=False)
    directory = Path(args.directory)
    result = build_report(directory, args.metric, args.baseline, args.direction)
    if args.json:
        print_json(build_document(result))
        return 0
    if args.csv or args.markdown:
        print((format_csv if args.csv else format_markdown)(result), end="")
        return 0
    best = [*format_best_trials(TrialLedger(directory))] if (directory / LEDGER_FILENAME).is_file() else []
    print_table(result, searched=bool(best))
    warnings = [f"warning: {line}" for line in result.version_conflicts]
    lines = [*warnings, *result.significance_notes, *result.notes, *(best or format_best_run(result))]
    print("".join(f"{line}\n" for line in lines), end="")
    print(f"written, by {result.metric}: " + ", ".join(map(str, write_report(result, directory))))
    return 0
