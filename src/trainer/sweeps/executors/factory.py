"""Choice of the executor of a sweep by its config."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.config.compose import Composer
from trainer.config.launchers import (
    BASIC_LAUNCHER,
    LOCAL_LAUNCHER,
    RAY_LAUNCHER,
    SLURM_LAUNCHER,
    is_parallel,
    requires_fusing,
)
from trainer.core.errors import UserError
from trainer.core.process_groups import require_process_groups
from trainer.sweeps.executors.base import Executor, LocalExecutor, build_worker_environments, visible_gpus
from trainer.sweeps.executors.fused import FusedExecutor
from trainer.sweeps.jobs.fusing import Fusing
from trainer.sweeps.store.job import RUNNABLE_STATES
from trainer.sweeps.store.job_store import Ledger


def create_executor(config: DictConfig, ledger: Ledger, composer: Composer) -> Executor | None:
    """Return the executor that runs each job in a separate process, or None if a launcher of Hydra runs the jobs.

    Args:
        config: Config of the sweep, as Hydra composed it.
        ledger: Ledger of the sweep.
        composer: Composer of the jobs.

    Raises:
        UserError: The executor is not installed or not available, or does not support a setting.
    """
    settings = config.sweep
    launcher: dict[str, Any] = OmegaConf.to_container(config.hydra.launcher, resolve=True)  # type: ignore[assignment]
    target = launcher.pop("_target_")
    if is_parallel(config):
        name = next((name for name in ("workers", "jobs_per_gpu") if settings[name]), "fuse")
        _require_basic_launcher(target, settings, name)
        require_process_groups(f"sweep.{name}", "auto" if name == "fuse" else "null")
        return _create_local_executor(settings, ledger, composer)
    if target not in (RAY_LAUNCHER, SLURM_LAUNCHER, LOCAL_LAUNCHER):
        return None
    _refuse_local_settings(settings, is_ray=target == RAY_LAUNCHER)
    if target == RAY_LAUNCHER:
        from trainer.sweeps.executors.ray import RayExecutor

        return RayExecutor(ledger, settings.workers, **launcher)
    from trainer.sweeps.executors.submitit import SubmititExecutor

    return SubmititExecutor(ledger, settings.workers, "slurm" if target == SLURM_LAUNCHER else "local", launcher)


def _create_local_executor(settings: Any, ledger: Ledger, composer: Composer) -> Executor:
    """Return the executor of jobs on this machine, which trains some of them together if that is possible."""
    gpus = visible_gpus() if settings.jobs_per_gpu else []
    environments = build_worker_environments(settings.workers, settings.jobs_per_gpu, gpus)
    fusing = None if settings.fuse is False else Fusing(composer, settings.fuse)
    # the next jobs of a search, and those after a failure, depend on the results of the previous ones
    is_dependent = settings.n_trials or settings.fail_fast
    if fusing is None or (is_dependent and not fusing.is_required):
        return LocalExecutor(ledger, environments)
    groups = [fusing.find_group(job) for job in ledger.jobs() if job.state in RUNNABLE_STATES]
    if not (settings.n_trials or any(groups)):  # the jobs of a search are not known yet
        return LocalExecutor(ledger, environments)
    return FusedExecutor(ledger, environments, fusing)


def _refuse_local_settings(settings: Any, *, is_ray: bool) -> None:
    """Raise an error if a setting is set that is supported only for jobs of this machine."""
    if requires_fusing(settings.fuse):
        setting = str(settings.fuse).lower()
        raise UserError(f"sweep.fuse: {setting} is supported only for jobs of this machine; expected auto or false")
    if settings.jobs_per_gpu:
        hint = "to share a GPU between two jobs: hydra.launcher.num_gpus=0.5" if is_ray else "the cluster assigns GPUs"
        raise UserError(f"sweep.jobs_per_gpu: supported only for GPUs of this machine; expected null\n  {hint}")


def _require_basic_launcher(target: str, settings: Any, name: str) -> None:
    if target == BASIC_LAUNCHER:
        return
    expected = "auto or false" if name == "fuse" else "null"
    launcher = target.rpartition(".")[2]
    raise UserError(
        f"sweep.{name}: {str(settings[name]).lower()} has no effect on hydra.launcher ({launcher}), which has its own"
        f" settings; expected {expected}\n  to run the jobs without that launcher: hydra/launcher=basic"
    )
