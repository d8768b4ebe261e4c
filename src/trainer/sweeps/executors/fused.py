"""Executor that runs jobs of equal structure together in one process."""

import os
import signal
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from trainer.sweeps.executors.base import (
    FORKSERVER_KILLED,
    START_SECONDS,
    Executor,
    JobExit,
    JobHandle,
    has_process_ended,
)
from trainer.sweeps.executors.group_worker import GroupJob, run_group_worker
from trainer.sweeps.executors.worker import Attempt, start_process
from trainer.sweeps.jobs.fusing import Fusing
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger
from trainer.training.preflight.dry_run_cache import dry_run_results


class FusedExecutor(Executor):
    """Processes of this machine, each of which runs a group of jobs.

    Args:
        ledger: Ledger of the sweep.
        environments: Environment variables of each worker; there is one worker for each group that runs at a time.
        fusing: Choice of the jobs that can run in one group.
    """

    jobs_outlive_command = False

    def __init__(self, ledger: Ledger, environments: Sequence[Mapping[str, str]], fusing: Fusing) -> None:
        self.ledger = ledger
        self.environments = environments
        self.fusing = fusing
        self._submitted: list[_MemberHandle] = []  # jobs that wait for a worker
        self._groups: list[_Group] = []
        self._crashed: set[int] = set()  # jobs whose group has crashed; they run alone

    def capacity(self) -> int:
        if any(handle.key is None for handle in self._submitted):  # jobs that run alone are claimed one by one
            return 0
        return len(self.environments) * self.fusing.max_size

    def submit(self, job: Job, overrides: Sequence[str]) -> JobHandle:
        self._remove_ended_groups()
        attempt = Attempt(self.ledger.sweep.absolute(), job.number, job.attempts + 1)
        key = None if job.number in self._crashed else self.fusing.find_group(job)
        handle = _MemberHandle(GroupJob([*overrides], self.ledger.log_path(job.number).absolute(), attempt), key)
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
            size = min(self.fusing.max_size, -(-len(equal) // n_workers))  # a share for each worker
            members = equal[:size] or [first]
            self._submitted = [handle for handle in self._submitted if handle not in members]
            slot = free.pop(0)
            environment = {**os.environ, **self.environments[slot]}
            group = _Group(self.ledger, members, slot)
            group.start(environment, is_required=self.fusing.is_required)
            self._groups.append(group)

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        wait([item for group in self._groups for item in group.waitables], seconds)

    def _remove_ended_groups(self) -> None:
        ended = [group for group in self._groups if group.done()]
        self._groups = [group for group in self._groups if group not in ended]
        self._crashed.update(number for group in ended if group.has_crashed for number in group.members)


class _Group:
    """Process of a group. If the forkserver is killed, the process continues, and the ledger contains it.

    Args:
        ledger: Ledger of the sweep.
        members: Jobs of the group.
        slot: Index of the environment.
    """

    def __init__(self, ledger: Ledger, members: "Sequence[_MemberHandle]", slot: int) -> None:
        self.ledger = ledger
        self.members = {member.job.attempt.number: member for member in members}
        self.slot = slot
        self.is_stopped = False
        self.is_killed = False
        self.process: BaseProcess | None = None
        for member in members:
            member.group = self

    def start(self, environment: Mapping[str, str], *, is_required: bool) -> None:
        """Start the process."""
        self._exits: Connection
        self._exits, sender = Pipe(duplex=False)
        jobs = [member.job for member in self.members.values()]
        settings = (dict(environment), str(Path.cwd()), dry_run_results)
        self._deadline = time.monotonic() + START_SECONDS
        with suppress(EOFError, OSError):  # the forkserver was killed, and the process may have been started or not
            self.process = start_process(run_group_worker, (jobs, *settings, sender, is_required))
        sender.close()

    @property
    def waitables(self) -> list[Any]:
        """Objects of which one is ready after the end of a job."""
        return [self._exits, *([self.process.sentinel] if self.process and not self._is_forkserver_killed else [])]

    def done(self) -> bool:
        """Record the jobs that have ended; return whether the process has ended."""
        is_forkserver_killed = self._is_forkserver_killed
        ended = not is_forkserver_killed and self.process is not None and not self.process.is_alive()
        with suppress(EOFError, OSError):
            while self._exits.poll():
                number, code = self._exits.recv()
                self.members[number].code = code
        remaining = {number: member for number, member in self.members.items() if member.code is None}
        if is_forkserver_killed:
            ended = all(has_process_ended(self.ledger.job(number), self._deadline) for number in remaining)
        for member in remaining.values() if ended else ():
            member.code = self.process.exitcode if self.process else FORKSERVER_KILLED
        return ended

    @property
    def _is_forkserver_killed(self) -> bool:
        return self.process is None or self.process.exitcode == FORKSERVER_KILLED

    @property
    def has_crashed(self) -> bool:
        """Return whether the process was killed by a signal of others, e.g. because of its memory."""
        return bool(self.process and (self.process.exitcode or 0) < 0 and not self.is_killed)

    def send(self, function: Callable[[int, int], None], number: int) -> None:
        """Send a signal to the process."""
        started = {self.ledger.job(job).pid for job in self.members} - {os.getpid(), None}
        pid = self.process.pid if self.process else next(iter(started), None)
        if pid and not self.done():
            with suppress(ProcessLookupError):
                function(pid, number)


class _MemberHandle(JobHandle):
    """Job of a group.

    Args:
        job: Description for the worker process.
        key: Group that it belongs to; None if it runs alone.
    """

    def __init__(self, job: GroupJob, key: Hashable) -> None:
        self.job = job
        self.key = key
        self.group: _Group | None = None  # None while it waits for a worker
        self.code: int | None = None

    def done(self) -> bool:
        if self.group and self.code is None:
            self.group.done()
        return self.code is not None

    def exit(self) -> JobExit:
        if self.code == FORKSERVER_KILLED and self.group and self.group.ledger.result(self.job.attempt.number) is None:
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
