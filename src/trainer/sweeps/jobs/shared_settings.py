"""Settings that all jobs of a sweep share. Imports no torch."""

from collections.abc import Iterator, Sequence

from omegaconf import DictConfig

from trainer.config.compose import Composer, get_override_key, select_plain
from trainer.config.diagnostics import Diagnostic
from trainer.core.mappings import diff_mappings, flatten, is_within

SHARED_KEYS = ("sweep", "hydra.sweep", "hydra.sweeper", "hydra.launcher")
VALID_FUSE = "expected auto, true, false, or a number of jobs above 1"
JOB_SUBDIR = "${hydra.job.num}"  # the directory of a job is found by its number


def is_sweep_setting(override: str) -> bool:
    """Return whether an override is about the sweep and not about its jobs.

    `hydra.searchpath` is about the jobs: without it their config choices may not be found.
    """
    key = get_override_key(override)
    return is_within(key, ("sweep", "resume", "accept_changes", "hydra")) and key != "hydra.searchpath"


def compose_shared_config(composer: Composer, overrides: Sequence[str]) -> DictConfig | None:
    """Return the config that contains the settings of a whole sweep, or None if it cannot be composed.

    Args:
        composer: Composer of the configs.
        overrides: Overrides of the command line.
    """
    return composer.compose_tolerant(composer.select_shared(overrides))[0]


def check_shared_settings(shared: DictConfig, job: DictConfig) -> Iterator[Diagnostic]:
    """Yield the settings of a sweep that differ in one of its jobs or are not supported.

    They are read once for all jobs. In a swept experiment such a setting would apply to all jobs or to none.

    Args:
        shared: Config that contains the settings of the sweep.
        job: Config of one job.
    """
    optimized = ["optimized_metric"] if shared.sweep.n_trials else []
    for key in (*SHARED_KEYS, *optimized):
        shared_values, job_values = (flatten({key: select_plain(config, key)}) for config in (shared, job))
        differences = diff_mappings(shared_values, job_values, absent=None)
        if (target := f"{key}._target_") in differences:  # the other settings belong to different classes
            differences = {target: differences[target]}
        for name, (expected, value) in differences.items():
            problem = f"{_format_value(value)} in a job, {_format_value(expected)} in the sweep"
            yield Diagnostic(name, problem, "expected one value for all jobs, given on the command line")
    if not is_valid_fuse(shared.sweep.fuse):
        yield Diagnostic("sweep.fuse", f"{shared.sweep.fuse} is invalid", VALID_FUSE)
    if select_plain(shared, "hydra.sweep.subdir") != JOB_SUBDIR:
        yield Diagnostic("hydra.sweep.subdir", "the directory of a job is named by its number", "leave it out")


def is_valid_fuse(setting: object) -> bool:
    """Return whether a value of `sweep.fuse` is valid."""
    return setting == "auto" or isinstance(setting, bool) or (isinstance(setting, int) and setting > 1)


def _format_value(value: object) -> str:
    return "null" if value is None else str(value)
