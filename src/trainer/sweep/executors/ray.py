"""Executor that runs each job as a task of a Ray cluster, which assigns a machine, cores and GPUs."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError, first_line
from trainer.core.optional_packages import format_install_command
from trainer.sweep.executors.base import Executor, JobHandle
from trainer.sweep.executors.remote_job import RemoteJob
from trainer.sweep.store.job_store import Job, Ledger

CONNECT_TIMEOUT_SECONDS = 10.0


class RayExecutor(Executor):
    """The nodes of a Ray cluster, as configured by `hydra/launcher=ray`.

    Args:
        ledger: Ledger of the sweep; its directory must be shared by all nodes.
        max_parallel: Maximum number of jobs at a time; None for the capacity of the cluster.
        address: `local` for a private Ray instance on this machine, `auto` for the running one, else `HOST:PORT`.
        num_cpus: Cores for each job, which are also its threads.
        num_gpus: GPUs for each job; 0.5 to share a GPU between two jobs.
        init: Further arguments of `ray.init`.
        remote: Further options of the task of a job, such as `resources`.

    Raises:
        UserError: Ray is not installed, or the cluster is not reachable.
    """

    def __init__(
        self,
        ledger: Ledger,
        max_parallel: int | None,
        address: str,
        num_cpus: float,
        num_gpus: float,
        init: Mapping[str, Any],
        remote: Mapping[str, Any],
    ) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise UserError(f"hydra/launcher=ray requires Ray: {format_install_command('ray')}") from None
        self.ray: Any = ray
        self.ledger = ledger
        self.max_parallel = max_parallel
        self.resources = {"CPU": num_cpus, "GPU": num_gpus}
        dashboard = {"include_dashboard": False} if address == "local" else {}
        if address != "local" and "RAY_AUTH_MODE" not in os.environ and _has_auth_token():
            os.environ["RAY_AUTH_MODE"] = "token"  # Ray itself uses the token only for address=auto
        try:
            if ":" in address:
                _require_reachable(address)
            ray.init(address=address, **{"log_to_driver": False, "logging_level": "error", **dashboard, **init})
        except (OSError, ValueError, RuntimeError) as error:  # ConnectionError is an OSError
            raise UserError(
                f"hydra.launcher.address={address}: cannot connect to a Ray cluster: {first_line(error)}\n"
                "  start one there: ray start --head; or use this machine: hydra.launcher.address=local"
            ) from error
        self._run = ray.remote(_run).options(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=0, **remote)

    def capacity(self) -> int:
        if self.max_parallel:
            return self.max_parallel
        total = self.ray.cluster_resources()
        return max(1, min((int(total.get(name, 0) / need) for name, need in self.resources.items() if need), default=1))

    def submit(self, job: Job, overrides: Sequence[str]) -> JobHandle:
        return _RayHandle(self.ray, self._run.remote(RemoteJob.create(self.ledger, job, overrides)))

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        tasks = [handle.reference for handle in handles if isinstance(handle, _RayHandle)]
        if tasks:
            self.ray.wait(tasks, timeout=seconds)

    def close(self) -> None:
        self.ray.shutdown()


class _RayHandle(JobHandle):
    def __init__(self, ray: Any, reference: Any) -> None:
        self.ray = ray
        self.reference = reference

    def done(self) -> bool:
        return bool(self.ray.wait([self.reference], timeout=0)[0])

    def exit_status(self) -> tuple[int, str]:
        try:
            return self.ray.get(self.reference), ""
        except self.ray.exceptions.RayTaskError as error:  # raised by `RemoteJob`
            return 1, first_line(error.cause)
        except self.ray.exceptions.RayError as error:
            return 1, f"{type(error).__name__}: {first_line(error)}"

    def stop(self) -> None:
        self.ray.cancel(self.reference)

    def kill(self) -> None:
        self.ray.cancel(self.reference, force=True)


def _run(job: RemoteJob) -> int:
    return job()


def _has_auth_token() -> bool:
    is_set = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return is_set or Path("~/.ray/auth_token").expanduser().is_file()


def _require_reachable(address: str) -> None:
    """Connect once: Ray itself retries for four minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    socket.create_connection((host, int(port)), CONNECT_TIMEOUT_SECONDS).close()
