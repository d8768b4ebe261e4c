"""Settings that all jobs of a sweep share. Imports no torch."""

from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.fingerprint import is_within
from trainer.artifacts.run_record import differences, flat
from trainer.config.compose import Composer, key_of
from trainer.config.diagnostics import Mistake

SETTINGS = ("sweep", "hydra.sweep", "hydra.sweeper", "hydra.launcher")
SUBDIR = "${hydra.job.num}"  # the ledger finds the directory of a job by its number


def is_of_sweep(word: str) -> bool:
    """Return whether a word of the command line is about the sweep and not about its jobs.

    Without the search path, the choices of a job may not be found.
    """
    return (
        is_within(key_of(word), ("sweep", "resume", "accept_changes", "hydra")) and key_of(word) != "hydra.searchpath"
    )


def shared_config(composer: Composer, typed: Sequence[str]) -> DictConfig | None:
    """Return the config that contains the settings of a whole sweep, or None if it cannot be composed.

    Args:
        composer: Composes configs.
        typed: Command line.
    """
    return composer.attempt(composer.shared(typed))[0]


def mistakes_of_sweep(shared: DictConfig, job: DictConfig) -> Iterator[Mistake]:
    """Yield the settings of a sweep that have another value in one of its jobs, or one that no sweep can have.

    They are read once for all jobs. A swept experiment that contains one would set it for all jobs or for none.

    Args:
        shared: Config that contains the settings of the sweep.
        job: Config of one job.
    """
    optimized = ["optimized_metric"] if shared.sweep.trials else []
    for key in (*SETTINGS, *optimized):
        of_sweep, of_job = (flat({key: _plain(config, key)}) for config in (shared, job))
        different = differences(of_sweep, of_job, absent=None)
        if (kind := f"{key}._target_") in different:  # its other settings are those of another class
            different = {kind: different[kind]}
        for name, (wanted, found) in different.items():
            problem = f"{_typed(found)} in a job, {_typed(wanted)} in the sweep"
            yield Mistake(name, problem, "expected one value for all jobs, given on the command line")
    if _plain(shared, "hydra.sweep.subdir") != SUBDIR:
        yield Mistake("hydra.sweep.subdir", "the directory of a job is named by its number", "leave it out")


def _plain(config: DictConfig, key: str) -> Any:
    parent, _, name = key.rpartition(".")
    node: Any = (OmegaConf.select(config, parent) if parent else config)._get_node(name)
    return OmegaConf.to_container(node) if OmegaConf.is_config(node) else node._value()


def _typed(value: object) -> str:
    return "null" if value is None else str(value)
