"""Launchers: those that have an engine of ours in their place, by the names that their configs give them."""

from omegaconf import DictConfig, OmegaConf

_PLUGIN = "hydra_plugins.hydra_submitit_launcher.submitit_launcher."
RAY, SLURM, LOCAL = "trainer.sweep.executors.ray.OnRay", f"{_PLUGIN}SlurmLauncher", f"{_PLUGIN}LocalLauncher"


def is_elsewhere(config: DictConfig) -> bool:
    """Whether the jobs of a sweep may run on other machines, of which nothing can be told here."""
    target = OmegaConf.select(config, "hydra.launcher._target_")
    return target == SLURM or (target == RAY and config.hydra.launcher.address != "local")


def is_side_by_side(config: DictConfig) -> bool:
    """Whether each job of a sweep gets a process of this machine, beside others."""
    target = OmegaConf.select(config, "hydra.launcher._target_")
    asked = (OmegaConf.select(config, f"sweep.{key}") for key in ("workers", "jobs_per_gpu"))
    return target not in (RAY, SLURM, LOCAL) and any(asked)
