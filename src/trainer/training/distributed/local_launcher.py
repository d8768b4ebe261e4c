"""The processes that `trainer` starts on this node for a run: one for each device, and all of them end together."""

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
from trainer.config.schema import named_in
from trainer.core.errors import Pruned, UserError
from trainer.core.rank import World
from trainer.training.distributed import rank_process
from trainer.training.distributed.job import Job
from trainer.training.distributed.rendezvous import Rendezvous

TERMINATION_SECONDS = 3.0  # between SIGTERM and SIGKILL
POLL_SECONDS = 0.5  # after which processes are found that have ended without an answer


@dataclass
class _Rank:
    number: int
    process: subprocess.Popen[bytes]
    answer: Connection


class _RemoteTraceback(Exception):  # noqa: N818  it is shown by this name
    """The traceback of another process, shown as the cause of the exception that is raised here."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


def execute_on_this_node(job: Job, node: int, meeting: Rendezvous) -> dict[str, Any]:
    """Execute a job in processes of this node, and return the result of the first of them.

    Args:
        job: For each process.
        node: Number of this node.
        meeting: The store where they meet one another.

    Raises:
        UserError: A process was killed, or the config names what only this process can import. And the exception that
            ended a process.
    """
    if own := [name for name in named_in(job.config) if name.startswith("__main__.")]:
        raise UserError(
            f"{own[0]}: other processes cannot import what a script or a notebook defines; expected a name in a module"
        )
    content = pickle.dumps(job)
    ranks: list[_Rank] = []
    has_failed = True
    try:
        for local in range(job.world.local):
            variables = _variables(job.world, node, local, meeting)
            ranks.append(_start(node * job.world.local + local, variables, content))
        result = _result(ranks, job.world)
        has_failed = False
    finally:
        _end(ranks, has_failed=has_failed)
    if isinstance(result, Pruned):
        raise result
    return result


def _variables(world: World, node: int, local: int, meeting: Rendezvous) -> dict[str, str | None]:
    """Return what a process finds in its environment, as Lightning and PyTorch read it."""
    return {
        "MASTER_ADDR": meeting.address,
        "MASTER_PORT": str(meeting.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # PyTorch's processes meet in our store, as in torchrun's
        "TORCHELASTIC_RESTART_COUNT": "0",
        "WORLD_SIZE": str(world.size),
        "NODE_RANK": str(node),
        "LOCAL_RANK": str(local),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "RANK": None,
        "GROUP_RANK": None,
    }


def _start(number: int, variables: dict[str, str | None], job: bytes) -> _Rank:
    """Start a process of this node, and write its arguments to its standard input."""
    reader, writer = os.pipe()
    arguments = rank_process.RankArguments(
        number, sys.path, {**variables, "PYTHONPATH": os.environ.get("PYTHONPATH")}, job, writer
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from trainer.training.distributed.rank_process import main; main()"],
        env={**os.environ, "PYTHONPATH": str(Path(trainer.__file__).parents[1])},
        stdin=subprocess.PIPE,
        pass_fds=[writer],
        process_group=0,  # Ctrl-C in a terminal is for this process, which ends the others
    )
    os.close(writer)
    assert process.stdin
    with suppress(BrokenPipeError):  # it has ended, as its exit status says
        pickle.dump(arguments, process.stdin)
        process.stdin.flush()
    return _Rank(number, process, Connection(reader, writable=False))


def _result(ranks: Sequence[_Rank], world: World) -> dict[str, Any] | Pruned:
    """Wait until all have answered, and return the first one's result; the first failure ends the waiting."""
    results: dict[int, dict[str, Any] | Pruned] = {}
    while waiting := [each for each in ranks if each.number not in results]:
        wait([each.answer for each in waiting], POLL_SECONDS)
        for each in waiting:
            if each.answer.poll():
                try:
                    outcome = each.answer.recv()
                except EOFError:
                    each.process.wait()
                    outcome = None
            elif each.process.poll() is None:
                continue
            else:
                outcome = None
            if outcome is None or isinstance(outcome, rank_process.Failure):
                raise _error(outcome, each, ranks, world)
            results[each.number] = outcome
    return results[ranks[0].number]


def _error(failure: rank_process.Failure | None, failed: _Rank, ranks: Sequence[_Rank], world: World) -> BaseException:
    """Return what ended a run: the exception of a process, unless that is due to another one, which was killed."""
    if failure:
        failed = next((each for each in ranks if (each.process.poll() or 0) < 0), failed)
    code, who = failed.process.poll() or 0, f"rank {failed.number} of {world.size}"
    if code < 0:
        hint = "\n  the system kills processes if memory runs out" if code == -signal.SIGKILL else ""
        return UserError(f"{who} was killed by {signal.Signals(-code).name}{hint}")
    if not failure:
        return UserError(f"{who} ended with exit status {code} before the run was over")
    failure.error.__cause__ = _RemoteTraceback(failure.traceback)
    failure.error.add_note(f"({who})")
    return failure.error


def _end(ranks: Sequence[_Rank], *, has_failed: bool) -> None:
    """End processes, those of a run that has failed by SIGTERM, and kill those that do not end in time.

    The first process of a run that has not failed may take its time: loggers write what they have left.
    """
    try:
        for each in ranks if has_failed else ():
            each.process.terminate()
        if not has_failed:
            ranks[0].process.wait()
        deadline = time.monotonic() + TERMINATION_SECONDS
        for each in ranks:
            with suppress(subprocess.TimeoutExpired):
                each.process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for each in ranks:
            with suppress(ProcessLookupError):
                os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()
            assert each.process.stdin
            each.process.stdin.close()
            each.answer.close()
