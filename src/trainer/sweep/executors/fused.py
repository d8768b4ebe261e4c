"""Executor that runs jobs of equal structure together in one process."""

import os
import signal
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from trainer.sweep.executors.base import FORKSERVER_KILLED, Executor, JobExit, JobHandle
from trainer.sweep.executors.group_worker import GroupJob, run_group_worker
from trainer.sweep.executors.worker import Attempt, start_process
from trainer.sweep.store.job_store import Job, Ledger
from trainer.training.preflight.dry_run_cache import dry_run_results


class FusedExecutor(Executor):
    """Processes of this machine, each of which runs a group of jobs.

    Args:
        ledger: Ledger of the sweep.
        environments: Environment variables of each worker; there is one worker for each group that runs at a time.
        max_group_size: Largest number of jobs in a group.
        find_group: Function that returns the same value for jobs that can run in one group; None for a job that runs
            alone.
    """

    jobs_outlive_command = False

    def __init__(
        self,
        ledger: Ledger,
        environments: Sequence[Mapping[str, str]],
        max_group_size: int,
        find_group: Callable[[Job], Hashable],
    ) -> None:
        self.ledger = ledger
        self.environments = environments
        self.max_group_size = max_group_size
        self.find_group = find_group
        self._submitted: list[_MemberHandle] = []  # jobs that wait for a worker
        self._groups: list[_Group] = []
        self._crashed: set[int] = set()  # jobs whose group has crashed; they run alone

    def capacity(self) -> int:
        if any(handle.key is None for handle in self._submitted):  # jobs that run alone are claimed one by one
            return 0
        return len(self.environments) * self.max_group_size

    def submit(self, job: Job, overrides: Sequence[str]) -> JobHandle:
        self._remove_ended_groups()
        attempt = Attempt(self.ledger.sweep.absolute(), job.number, job.tries + 1)
        handle = _MemberHandle(GroupJob([*overrides], self.ledger.log_path(job.number).absolute(), attempt))
        handle.key = None if job.number in self._crashed else self.find_group(job)
        self._submitted.append(handle)
        return handle

    def start(self) -> None:
        self._remove_ended_groups()
        self._submitted = [handle for handle in self._submitted if handle.code is None]  # not stopped
        free = [*{*range(len(self.environments))} - {group.slot for group in self._groups}]
        n_workers = len(free)
        while free and self._submitted:
            first = self._submitted[0]
            equal = [handle for handle in self._submitted if handle.key == first.key and first.key is not None]
            size = min(self.max_group_size, -(-len(equal) // n_workers))  # a share for each worker
            members = equal[:size] or [first]
            self._submitted = [handle for handle in self._submitted if handle not in members]
            slot = free.pop(0)
            self._groups.append(_Group(members, {**os.environ, **self.environments[slot]}, slot))

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        wait([item for group in self._groups for item in group.waitables], seconds)

    def _remove_ended_groups(self) -> None:
        ended = [group for group in self._groups if group.done()]
        self._groups = [group for group in self._groups if group not in ended]
        self._crashed.update(number for group in ended if group.has_crashed for number in group.members)

    def avoid(self, machine: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Group:
    """Process of a group."""

    def __init__(self, members: "Sequence[_MemberHandle]", environment: Mapping[str, str], slot: int) -> None:
        self.members = {member.job.attempt.number: member for member in members}
        self.slot = slot
        self.is_stopped = False
        self.is_killed = False
        self._exits: Connection
        self._exits, sender = Pipe(duplex=False)
        jobs = [member.job for member in members]
        arguments = (jobs, dict(environment), str(Path.cwd()), sender, dry_run_results)
        self.process: BaseProcess | None = None
        with suppress(EOFError, OSError):  # the forkserver was killed
            self.process = start_process(run_group_worker, arguments)
        sender.close()
        for member in members:
            member.group = self

    @property
    def waitables(self) -> list[Any]:
        """Objects of which one is ready after the end of a job."""
        return [self._exits, *([self.process.sentinel] if self.process else [])]

    def done(self) -> bool:
        """Record the jobs that have ended; return whether the process has ended."""
        ended = self.process is None or not self.process.is_alive()
        with suppress(EOFError, OSError):
            while self._exits.poll():
                number, code = self._exits.recv()
                self.members[number].code = code
        if ended:
            status = self.process.exitcode if self.process else FORKSERVER_KILLED
            for member in self.members.values():
                member.code = status if member.code is None else member.code
        return ended

    @property
    def has_crashed(self) -> bool:
        """Return whether the process was killed by a signal of others, e.g. because of its memory."""
        return bool(self.process and (self.process.exitcode or 0) < 0 and not self.is_killed)

    def send(self, function: Callable[[int, int], None], number: int) -> None:
        """Send a signal to the process."""
        if self.process and self.process.pid and not self.done():
            with suppress(ProcessLookupError):
                function(self.process.pid, number)


class _MemberHandle(JobHandle):
    """Job of a group.

    Args:
        job: Description for the worker process.
    """

    def __init__(self, job: GroupJob) -> None:
        self.job = job
        self.key: Hashable = None
        self.group: _Group | None = None  # None while it waits for a worker
        self.code: int | None = None

    def done(self) -> bool:
        if self.group and self.code is None:
            self.group.done()
        return self.code is not None

    def exit(self) -> JobExit:
        if self.code == FORKSERVER_KILLED:
            return JobExit(FORKSERVER_KILLED, "the process that starts the jobs was killed", kind="lost")
        if self.code and self.group and self.group.has_crashed and len(self.group.members) > 1:
            return JobExit(self.code, f"its process with {len(self.group.members)} jobs has crashed", kind="lost")
        return JobExit(self.code or 0)

    def stop(self) -> None:
        if self.group is None:
            self.code = 128 + signal.SIGTERM
        elif not self.group.is_stopped:  # a second signal would end the process without saving
            self.group.is_stopped = True
            self.group.send(os.kill, signal.SIGTERM)

    def kill(self) -> None:
        if self.group:
            self.group.is_killed = True
            self.group.send(os.killpg, signal.SIGKILL)
            self.group.send(os.kill, signal.SIGKILL)
        elif self.code is None:
            self.code = -signal.SIGKILL
