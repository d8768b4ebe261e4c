"""Names of the launchers for which the package has executors of its own."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

_SUBMITIT_PREFIX = "hydra_plugins.hydra_submitit_launcher.submitit_launcher."
RAY_LAUNCHER = "trainer.sweeps.executors.ray.RayExecutor"
SLURM_LAUNCHER = f"{_SUBMITIT_PREFIX}SlurmLauncher"
LOCAL_LAUNCHER = f"{_SUBMITIT_PREFIX}LocalLauncher"
BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def is_remote(config: DictConfig) -> bool:
    """Return whether the jobs of a sweep may run on other machines, which cannot be checked from this one."""
    target = OmegaConf.select(config, "hydra.launcher._target_")
    return target == SLURM_LAUNCHER or (target == RAY_LAUNCHER and config.hydra.launcher.address != "local")


def is_parallel(config: DictConfig) -> bool:
    """Return whether the jobs of a sweep run in parallel processes of this machine."""
    target = OmegaConf.select(config, "hydra.launcher._target_")
    sweep: Any = OmegaConf.select(config, "sweep")
    return target not in (RAY_LAUNCHER, SLURM_LAUNCHER, LOCAL_LAUNCHER) and bool(
        sweep.workers or sweep.jobs_per_gpu or requires_fusing(sweep.fuse)
    )


def requires_fusing(setting: Any) -> bool:
    """Return whether `sweep.fuse` has a value with which all jobs must be trained together."""
    return setting != "auto" and setting is not False
