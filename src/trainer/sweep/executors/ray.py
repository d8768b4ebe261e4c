"""On Ray: each job is a task of its own of a Ray cluster, which gives it a machine, cores and GPUs."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError, first_line
from trainer.core.optional_packages import install_command
from trainer.sweep.executors.base import Begun, Engine
from trainer.sweep.executors.remote_job import Attendant
from trainer.sweep.store.job_store import Job, Ledger

SECONDS = 10.0  # that a cluster has to answer in


class OnRay(Engine):
    """The nodes of a Ray cluster, as `hydra/launcher=ray` describes it.

    Args:
        ledger: Of the sweep; all nodes must see its directory.
        at_a_time: Jobs at most; None for as many as the cluster has room for.
        address: `local` for a Ray of its own on this machine, `auto` for the one that runs here, else `HOST:PORT`.
        num_cpus: Cores for each job, which are its threads as well.
        num_gpus: GPUs for each job; 0.5 where two share one.
        init: Further arguments of `ray.init`.
        remote: Further options of a job's task, such as `resources`.

    Raises:
        UserError: Ray is not installed, or no cluster is there.
    """

    def __init__(
        self,
        ledger: Ledger,
        at_a_time: int | None,
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
            raise UserError(f"hydra/launcher=ray needs Ray: {install_command('ray')}") from None
        self.ray: Any = ray
        self.ledger, self.at_a_time = ledger, at_a_time
        self.needs = {"CPU": num_cpus, "GPU": num_gpus}
        quiet = {"log_to_driver": False, "logging_level": "error", "include_dashboard": False}
        given = {**quiet, **init} if address == "local" else {"log_to_driver": False, "logging_level": "error", **init}
        if address != "local" and "RAY_AUTH_MODE" not in os.environ and _has_token():
            os.environ["RAY_AUTH_MODE"] = "token"  # by itself Ray thinks of the token for address=auto alone
        try:
            if ":" in address:
                _knock(address)
            ray.init(address=address, **given)
        except (OSError, ValueError, RuntimeError) as error:  # a ConnectionError is an OSError
            raise UserError(
                f"hydra.launcher.address={address}: no Ray cluster that lets us in: {first_line(error)}\n"
                "  begin one there: ray start --head; or take this machine: hydra.launcher.address=local"
            ) from error
        self._run = ray.remote(_run).options(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=0, **remote)

    def places(self) -> int:
        if self.at_a_time:
            return self.at_a_time
        there = self.ray.cluster_resources()
        return max(1, min((int(there.get(name, 0) / need) for name, need in self.needs.items() if need), default=1))

    def begin(self, job: Job, words: Sequence[str]) -> Begun:
        return _Task(self.ray, self._run.remote(Attendant.of(self.ledger, job, words)))

    def wait(self, begun: Sequence[Begun], seconds: float) -> None:
        tasks = [each.reference for each in begun if isinstance(each, _Task)]
        if tasks:
            self.ray.wait(tasks, timeout=seconds)

    def close(self) -> None:
        self.ray.shutdown()


class _Task(Begun):
    def __init__(self, ray: Any, reference: Any) -> None:
        self.ray, self.reference = ray, reference

    def over(self) -> bool:
        return bool(self.ray.wait([self.reference], timeout=0)[0])

    def end(self) -> tuple[int, str]:
        try:
            return self.ray.get(self.reference), ""
        except self.ray.exceptions.RayTaskError as error:  # what the attendant has raised
            return 1, first_line(error.cause)
        except self.ray.exceptions.RayError as error:
            return 1, f"{type(error).__name__}: {first_line(error)}"

    def stop(self) -> None:
        self.ray.cancel(self.reference)

    def kill(self) -> None:
        self.ray.cancel(self.reference, force=True)


def _run(attendant: Attendant) -> int:
    return attendant()


def _has_token() -> bool:
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return named or Path("~/.ray/auth_token").expanduser().is_file()


def _knock(address: str) -> None:
    """See that somebody listens; Ray itself tries for four minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    socket.create_connection((host, int(port)), SECONDS).close()
