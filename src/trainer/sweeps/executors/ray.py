"""Executor that runs each job as a task of a Ray cluster, which assigns a machine, cores and GPUs."""

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError, first_line
from trainer.core.installation import format_install_command
from trainer.sweeps.executors.base import Executor, JobExit, JobHandle
from trainer.sweeps.executors.remote_job import RemoteJob
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger

log = logging.getLogger(__name__)
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
        UserError: Ray is not installed, the cluster is not reachable, or no machine has the requested resources.
    """

    jobs_outlive_command = False

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
        if address != "local" and "RAY_AUTH_MODE" not in os.environ and _has_auth_token():
            os.environ["RAY_AUTH_MODE"] = "token"  # read at the import; Ray uses the token only for address=auto
        try:
            import ray
        except ImportError:
            raise UserError(f"hydra/launcher=ray requires Ray: {format_install_command('ray')}") from None
        self.ray: Any = ray
        self.ledger = ledger
        self.max_parallel = max_parallel
        self.resources = {"CPU": num_cpus, "GPU": num_gpus}
        dashboard = {"include_dashboard": False} if address == "local" else {}
        try:
            if ":" in address:
                _require_reachable(address)
            ray.init(address=address, **{"log_to_driver": False, "logging_level": "error", **dashboard, **init})
        except (OSError, ValueError, RuntimeError) as error:  # ConnectionError is an OSError
            raise UserError(
                f"hydra.launcher.address={address}: cannot connect to a Ray cluster: {first_line(error)}\n"
                "  start one there: ray start --head; or use this machine: hydra.launcher.address=local"
            ) from error
        needs = self.resources | dict(remote.get("resources") or {})
        problem = find_unmet_need([node["Resources"] for node in self.ray.nodes() if node["Alive"]], needs)
        if problem and not max_parallel:  # which is for clusters that grow
            ray.shutdown()
            raise UserError(f"{problem}\n  if the cluster adds machines for waiting jobs, set sweep.workers")
        if problem:
            log.warning(f"warning: {problem}; the jobs wait for such a machine")
        self._avoided: list[str] = []
        self._task = ray.remote(_run)
        self._options = {"num_cpus": num_cpus, "num_gpus": num_gpus, "max_retries": 0, **remote}

    def capacity(self) -> int:
        if self.max_parallel:
            return self.max_parallel
        total = self.ray.cluster_resources()
        return max(1, min((int(total.get(name, 0) / need) for name, need in self.resources.items() if need), default=1))

    def submit(self, job: Job, overrides: Sequence[str]) -> JobHandle:
        remote_job = RemoteJob.create(self.ledger, job, overrides)
        return _RayHandle(self.ray, self._task.options(**self._options).remote(remote_job))

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        tasks = [handle.reference for handle in handles if isinstance(handle, _RayHandle)]
        if tasks:
            self.ray.wait(tasks, timeout=seconds)

    def avoid(self, machine: str) -> None:
        self._avoided.append(machine)
        if any(node["Alive"] and node["NodeID"] not in self._avoided for node in self.ray.nodes()):
            labels = {"ray.io/node-id": f"!in({','.join(self._avoided)})"}
            self._options["label_selector"] = {**self._options.get("label_selector", {}), **labels}

    def close(self) -> None:
        self.ray.shutdown()


class _RayHandle(JobHandle):
    def __init__(self, ray: Any, reference: Any) -> None:
        self.ray = ray
        self.reference = reference

    def done(self) -> bool:
        return bool(self.ray.wait([self.reference], timeout=0)[0])

    def exit(self) -> JobExit:
        exceptions = self.ray.exceptions
        try:
            code, reason, machine = self.ray.get(self.reference)
        except exceptions.RayTaskError as error:
            return JobExit(1, first_line(error.cause))
        except exceptions.TaskCancelledError:
            return JobExit(1, "cancelled", "stopped")
        except exceptions.RayError as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            return JobExit(1, reason, "ended" if isinstance(error, exceptions.OutOfMemoryError) else "lost")
        return JobExit(code, reason, machine=machine)

    def stop(self) -> None:
        self.ray.cancel(self.reference)

    def kill(self) -> None:
        self.ray.cancel(self.reference, force=True)


def _run(job: RemoteJob) -> tuple[int, str, str]:
    """Return the exit status, the error of a machine on which the job cannot run, and the id of the machine."""
    import ray

    machine = ray.get_runtime_context().get_node_id()
    try:
        return job(), "", machine
    except UserError as error:
        return 1, first_line(error), machine


def find_unmet_need(nodes: Sequence[Mapping[str, float]], needs: Mapping[str, float]) -> str | None:
    """Return an error message if no machine has all resources that a job needs.

    Args:
        nodes: Resources of each machine.
        needs: Amounts by resource.
    """
    if any(all(node.get(name, 0) >= need for name, need in needs.items()) for node in nodes):
        return None
    settings = {"CPU": "num_cpus", "GPU": "num_gpus"}
    largest = {name: max((node.get(name, 0) for node in nodes), default=0) for name in needs}
    unmet = [name for name, need in needs.items() if need > largest[name]]
    names = unmet or [name for name, need in needs.items() if need]
    values = [f"hydra.launcher.{settings.get(name, f'remote.resources.{name}')}={needs[name]:g}" for name in names]
    available = ", ".join(f"{largest[name]:g} {name}" for name in unmet)
    reason = f"the largest one has {available}" if unmet else "one has the first, another one the other"
    return f"{', '.join(values)}: no machine of the Ray cluster has this: {reason}"


def _has_auth_token() -> bool:
    is_set = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return is_set or Path("~/.ray/auth_token").expanduser().is_file()


def _require_reachable(address: str) -> None:
    """Connect once: Ray itself retries for four minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    socket.create_connection((host, int(port)), CONNECT_TIMEOUT_SECONDS).close()
