"""Processes that `trainer` starts on this node for a run: one per device, all stopped together."""

import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

import trainer
from trainer.config.schema import find_targets
from trainer.core.errors import Pruned, UserError
from trainer.core.process_groups import require_process_groups
from trainer.core.rank import World
from trainer.core.signals import shutdown
from trainer.training.distributed import rank_process
from trainer.training.distributed.job import Job
from trainer.training.distributed.rendezvous import Rendezvous, loopback_variables

TERMINATION_SECONDS = 3.0  # between SIGTERM and SIGKILL
CAUSE_SECONDS = 10.0  # between a lost connection and the failure of the process that caused it
POLL_SECONDS = 0.5  # interval of checks for processes that have exited without an answer


@dataclass
class _RankHandle:
    rank: int
    process: subprocess.Popen[bytes]
    answer: Connection


class _RemoteTraceback(Exception):  # noqa: N818  printed by this name
    """Traceback of another process, printed as the cause of the exception that is raised in this one."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


def execute_on_this_node(job: Job, node: int, rendezvous: Rendezvous) -> dict[str, Any]:
    """Execute a job in processes of this node, and return the result of the first of them.

    Args:
        job: Job of each process.
        node: Index of this node.
        rendezvous: Store of the process group.

    Raises:
        UserError: A process was killed, or the config names an object that only this process can import, or this is
            Windows. Exceptions of processes are raised too.
    """
    require_process_groups("trainer.devices", "1")
    if targets := [name for name in find_targets(job.config) if name.startswith("__main__.")]:
        raise UserError(
            f"{targets[0]}: other processes cannot import what a script or a notebook defines; expected a name in a"
            " module"
        )
    content = pickle.dumps(job)
    handles: list[_RankHandle] = []
    has_failed = True
    try:
        for local_rank in range(job.world.local):
            variables = _environment_variables(job.world, node, local_rank, rendezvous)
            handles.append(_start(node * job.world.local + local_rank, variables, content))
        result = _wait_for_result(handles, job.world)
        has_failed = False
    finally:
        _stop(handles, has_failed=has_failed)
    if isinstance(result, Pruned):
        raise result
    return result


def _environment_variables(world: World, node: int, local_rank: int, rendezvous: Rendezvous) -> dict[str, str | None]:
    """Return the variables that Lightning and PyTorch read; None removes one."""
    return {
        **(loopback_variables() if world.size == world.local else {}),
        "MASTER_ADDR": rendezvous.address,
        "MASTER_PORT": str(rendezvous.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # PyTorch uses our store for its process group, like torchrun's
        "TORCHELASTIC_RESTART_COUNT": "0",
        "WORLD_SIZE": str(world.size),
        "NODE_RANK": str(node),
        "LOCAL_RANK": str(local_rank),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "RANK": None,
        "GROUP_RANK": None,
    }


def _start(rank: int, variables: dict[str, str | None], job: bytes) -> _RankHandle:
    """Start a process, and write its arguments to its standard input."""
    reader, writer = os.pipe()
    arguments = rank_process.RankArguments(
        rank, sys.path, {**variables, "PYTHONPATH": os.environ.get("PYTHONPATH")}, job, writer
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from trainer.training.distributed.rank_process import main; main()"],
        env={**os.environ, "PYTHONPATH": str(Path(trainer.__file__).parents[1])},
        stdin=subprocess.PIPE,
        pass_fds=[writer],
        process_group=0,  # Ctrl-C in a terminal reaches only this process, which stops the others
    )
    os.close(writer)
    assert process.stdin
    with suppress(BrokenPipeError):  # it has exited; its exit status is checked later
        pickle.dump(arguments, process.stdin)
        process.stdin.flush()
    return _RankHandle(rank, process, Connection(reader, writable=False))


def _wait_for_result(handles: Sequence[_RankHandle], world: World) -> dict[str, Any] | Pruned:
    """Wait until all processes have answered; return the first one's result, or raise the cause of the first failure.

    If a process reports a lost connection, another one has probably failed and has not answered yet: wait for it.
    """
    results: dict[int, dict[str, Any] | Pruned] = {}
    disconnected: dict[int, tuple[rank_process.Failure, _RankHandle]] = {}
    deadline = math.inf
    while waiting := [handle for handle in handles if handle.rank not in results.keys() | disconnected.keys()]:
        wait([handle.answer for handle in waiting], POLL_SECONDS)
        shutdown.raise_if_due()
        for handle in waiting:
            outcome = None
            if handle.answer.poll():
                try:
                    outcome = handle.answer.recv()
                except EOFError:
                    handle.process.wait()
            elif handle.process.poll() is None:
                continue
            if isinstance(outcome, rank_process.Failure) and outcome.is_lost_connection:
                disconnected[handle.rank] = (outcome, handle)
                deadline = min(deadline, time.monotonic() + CAUSE_SECONDS)
            elif outcome is None or isinstance(outcome, rank_process.Failure):
                raise _build_error(outcome, handle, handles, world)
            else:
                results[handle.rank] = outcome
        if time.monotonic() > deadline:
            break
    for failure, handle in disconnected.values():
        raise _build_error(failure, handle, handles, world)
    return results[handles[0].rank]


def _build_error(
    failure: rank_process.Failure | None, failed: _RankHandle, handles: Sequence[_RankHandle], world: World
) -> BaseException:
    """Return the cause of a failed run: a killed process if there is one, else the exception of `failed`."""
    if failure:
        failed = next((handle for handle in handles if (handle.process.poll() or 0) < 0), failed)
    code = failed.process.poll() or 0
    name = f"rank {failed.rank} of {world.size}"
    if code < 0:
        hint = "\n  the system kills processes if memory runs out" if code == -signal.SIGKILL else ""
        return UserError(f"{name} was killed by {signal.Signals(-code).name}{hint}")
    if not failure:
        return UserError(f"{name} exited with status {code} before the run finished")
    failure.error.__cause__ = _RemoteTraceback(failure.traceback)
    failure.error.add_note(f"({name})")
    return failure.error


def _stop(handles: Sequence[_RankHandle], *, has_failed: bool) -> None:
    """Stop all processes: after a failure by SIGTERM, then by SIGKILL.

    The first process of a successful run gets unlimited time, because loggers write their remaining values.
    """
    try:
        for handle in handles if has_failed else ():
            handle.process.terminate()
        if not has_failed:
            handles[0].process.wait()
        deadline = time.monotonic() + TERMINATION_SECONDS
        for handle in handles:
            with suppress(subprocess.TimeoutExpired):
                handle.process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for handle in handles:
            with suppress(ProcessLookupError):
                os.killpg(handle.process.pid, signal.SIGKILL)
            handle.process.wait()
            assert handle.process.stdin
            handle.process.stdin.close()
            handle.answer.close()
