"""Check of every job of a command line, a single run or a sweep, before the first one starts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from omegaconf import DictConfig

from trainer.config.command_line import parse_command_line
from trainer.config.compose import Composer
from trainer.config.diagnostics import Diagnostic
from trainer.config.launchers import requires_fusing
from trainer.config.value_sources import find_location
from trainer.core.errors import UserError
from trainer.core.lazy_imports import lazy_imports
from trainer.core.warning_filters import install_warning_filters
from trainer.sweeps.executors.forkserver import warm_up_forkserver
from trainer.sweeps.jobs.fusing import reason_to_run_alone
from trainer.sweeps.jobs.grid import expand
from trainer.sweeps.jobs.shared_settings import check_shared_settings, compose_shared_config, is_sweep_setting
from trainer.sweeps.jobs.trusted_jobs import find_untrusted_code
from trainer.sweeps.search.search import plan_search

# in a larger sweep only so many jobs are checked that each value of each axis is in one of them
MAX_FULLY_CHECKED_JOBS = 300


@dataclass
class ValidationReport:
    """Result of the check of a command line.

    Args:
        diagnostics: Diagnostics with their locations; equal ones of several jobs are merged.
        jobs: Number of jobs.
        checked_jobs: Number of jobs that were checked.
        facts: Facts about the network from the dry run of the last job.
    """

    diagnostics: list[Diagnostic] = field(default_factory=list)
    jobs: int = 1
    checked_jobs: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def has_errors(self) -> bool:
        """True if a run would be refused."""
        return any(diagnostic.is_error for diagnostic in self.diagnostics)


def check_overrides(argv: Sequence[str], *, to_run: bool = False, trusted_only: bool = False) -> ValidationReport:
    """Check what a command line would run.

    Args:
        argv: Arguments of `trainer`: overrides, `--multirun`, `--config-dir`.
        to_run: Whether the jobs run next, so that the forkserver is started during the check.
        trusted_only: Whether a config that names code of other packages than the trusted ones is an error, before any
            object is built. Defaults to false.
    """
    options = parse_command_line(argv)
    composer = Composer(options.config_dir)
    report = ValidationReport()
    overrides, syntax_errors = composer.check_syntax(options.overrides)
    if trusted_only and (untrusted := find_untrusted_code(composer, composer.select_shared(overrides))):
        return ValidationReport(syntax_errors + untrusted, checked_jobs=1)  # the sampler of a search is an object, too
    is_sweep: bool = options.multirun
    is_numbered = False
    try:
        jobs, is_numbered = list_jobs_to_check(composer, overrides) if is_sweep else ([overrides], False)
        config = composer.compose(jobs[0])
        if not is_sweep and config.hydra.mode is not None and config.hydra.mode.name == "MULTIRUN":
            is_sweep = True
            jobs, is_numbered = list_jobs_to_check(composer, overrides)
    except UserError:
        raise
    except Exception:  # any error of Hydra or OmegaConf; the check of each job explains it
        jobs = [overrides]
        if is_sweep:
            jobs, is_numbered = list_jobs_to_check(composer, overrides)
    else:
        if to_run and is_sweep and not composer.file_diagnostics:
            warm_up_forkserver(config)
    report.jobs = len(jobs)
    shared = compose_shared_config(composer, overrides) if is_sweep else None
    numbers: dict[Diagnostic, list[int]] = {}
    for number in _select_jobs(jobs):
        report.checked_jobs += 1
        untrusted = find_untrusted_code(composer, jobs[number]) if trusted_only else []
        if untrusted:
            diagnostics = untrusted
        else:
            diagnostics, report.facts = _check_job(
                composer, jobs[number], number, shared, compose_only=bool(options.cfg or options.info)
            )
        for diagnostic in diagnostics:
            numbers.setdefault(diagnostic, []).append(number)
    report.diagnostics = syntax_errors
    report.diagnostics += [replace(key, jobs=tuple(value) if is_numbered else ()) for key, value in numbers.items()]
    return report


def list_jobs_to_check(composer: Composer, overrides: Sequence[str]) -> tuple[list[list[str]], bool]:
    """Return the overrides of the jobs of a sweep, and whether these are the jobs that run.

    The jobs of a search are not known yet; those at the bounds of its space are checked instead.
    """
    if not (search := plan_search(composer, overrides)):
        return expand(composer, overrides), True
    shared = [override for override in composer.select_shared(overrides) if is_sweep_setting(override)]
    return [[*corner, *shared] for corner in search.space.corners()], False


def _select_jobs(jobs: Sequence[Sequence[str]]) -> list[int]:
    if len(jobs) <= MAX_FULLY_CHECKED_JOBS:
        return [*range(len(jobs))]
    covered: set[str] = set()
    selected = []
    for number, job in enumerate(jobs):
        if not covered.issuperset(job):
            covered.update(job)
            selected.append(number)
    return selected


def _check_job(
    composer: Composer, overrides: list[str], number: int, shared: DictConfig | None, *, compose_only: bool
) -> tuple[list[Diagnostic], dict[str, Any]]:
    config, valid, diagnostics = composer.compose_tolerant(overrides, number)
    if config is None:
        return diagnostics, {}
    diagnostics += composer.file_diagnostics
    if shared is not None and (differences := [*check_shared_settings(shared, config)]):
        layers = composer.load_layers(valid)
        diagnostics += [replace(item, location=find_location(layers, item.key)) for item in differences]
    if compose_only:
        return diagnostics, {}
    with lazy_imports():
        from trainer.training.preflight.check import add_locations, collect_diagnostics  # imports torch
        from trainer.training.preflight.unused_settings import check_unused_settings

    install_warning_filters()
    job_diagnostics, facts = collect_diagnostics(config)
    # settings below an invalid node cannot be checked
    prefixes = tuple(f"{diagnostic.key}." for diagnostic in diagnostics if "." not in diagnostic.key)
    job_diagnostics = [diagnostic for diagnostic in job_diagnostics if not diagnostic.key.startswith(prefixes)]
    unused = facts.get("unused", {})
    if job_diagnostics or unused:
        layers = composer.load_layers(valid)
        diagnostics += [*add_locations(job_diagnostics, layers), *check_unused_settings(unused, layers)]
    is_fusing_required = shared is not None and requires_fusing(config.sweep.fuse)
    has_errors = any(item.is_error for item in diagnostics)
    if is_fusing_required and not has_errors and (reason := reason_to_run_alone(config, facts, is_required=True)):
        location = find_location(composer.load_layers(valid), "sweep.fuse")
        diagnostics.append(Diagnostic("sweep.fuse", reason, "expected auto or false", location))
    return diagnostics, facts
