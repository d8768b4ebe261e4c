"""Engines: which one runs a sweep, as its config says."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.config.launchers import LOCAL, RAY, SLURM, is_side_by_side
from trainer.core.errors import UserError
from trainer.sweep.executors.base import Engine, Here, seats, visible_gpus
from trainer.sweep.store.job_store import Ledger


def engine_of(config: DictConfig, ledger: Ledger) -> Engine | None:
    """The engine that runs the jobs, each in a process of its own; None where a launcher of Hydra is to do it.

    Args:
        config: As Hydra composed it for the sweep.
        ledger: Of the sweep.

    Raises:
        UserError: It is not installed, not there, or cannot do what is asked.
    """
    settings = config.sweep
    launcher: dict[str, Any] = OmegaConf.to_container(config.hydra.launcher, resolve=True)  # type: ignore[assignment]
    target = launcher.pop("_target_")
    if is_side_by_side(config):
        gpus = visible_gpus() if settings.jobs_per_gpu else []
        return Here(ledger, seats(settings.workers, settings.jobs_per_gpu, gpus))
    if target not in (RAY, SLURM, LOCAL):
        return None
    if settings.jobs_per_gpu:
        offer = "hydra.launcher.num_gpus=0.5 has two share one" if target == RAY else "it is the cluster's to say"
        raise UserError(f"sweep.jobs_per_gpu is for the GPUs of this machine; leave it out: {offer}")
    if target == RAY:
        from trainer.sweep.executors.ray import OnRay

        return OnRay(ledger, settings.workers, **launcher)
    from trainer.sweep.executors.submitit import OnSubmitit

    return OnSubmitit(ledger, settings.workers, "slurm" if target == SLURM else "local", launcher)
