"""The ledger: one file in the directory of a sweep that knows every job, whatever happens to those who write in it.

It is an SQLite database, which is what makes it safe: a change is there whole or not at all after a `kill -9` at any
moment, and several writers take turns. Without the WAL mode, which file systems shared by several machines cannot do.
"""

import json
import os
import platform
import sqlite3
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainer.artifacts.ledger_file import LEDGER, connected, create, refuse_foreign, told
from trainer.core.errors import UserError
from trainer.sweep.store.process_liveness import born, lives

State = Literal["planned", "running", "done", "failed", "pruned", "interrupted"]
TO_RUN: tuple[State, ...] = ("planned", "interrupted", "failed")
ENDED: dict[str, State] = {"finished": "done", "pruned": "pruned"}  # by the state of a run


@dataclass(frozen=True)
class Job:
    """One job of a sweep, as the ledger has it.

    Args:
        number: From 0; also the name of its directory in that of the sweep. Never given twice.
        identity: The fingerprint of its config.
        words: Of the command line that would run it alone.
        state: How it stands.
        tries: How often it was begun.
        seconds: That all its tries took together.
        result: What its `result.json` says; None unless done or pruned.
        error: Why it failed, in a line or two.
        host: Machine of the process that has it, while it runs; else of the last one.
        pid: Of that process.
        born: When that process was started, in the system's own count: a pid is given again, this is not.
        began: Time of the last try, in seconds since 1970.
        ended: Of its end.
    """

    number: int
    identity: str
    words: list[str]
    state: State = "planned"
    tries: int = 0
    seconds: float = 0.0
    result: dict[str, Any] | None = None
    error: str | None = None
    host: str | None = None
    pid: int | None = None
    born: str | None = None
    began: float | None = None
    ended: float | None = None

    def metric(self, name: str | None) -> float | None:
        """The final value of a metric; None where there is none."""
        value = (self.result or {}).get("metrics", {}).get(name)
        return None if value is None else float(value)


class Ledger:
    """The ledger of the sweep in a directory.

    Args:
        sweep: The directory.

    Raises:
        UserError: There is no ledger in it, or one of something else.
    """

    def __init__(self, sweep: Path) -> None:
        self.sweep, self.file = sweep, sweep / LEDGER
        if not self.file.is_file():
            raise UserError(f"'{sweep}' is no sweep: it has no {LEDGER} in it")
        refuse_foreign(self.file)

    @classmethod
    def opened(cls, sweep: Path) -> "Ledger":
        """The ledger of a sweep, which is made if there is none yet; the directory must be there."""
        create(sweep / LEDGER)
        return cls(sweep)

    def jobs(self) -> list[Job]:
        """All jobs, by number."""
        with self._read() as database:
            rows = database.execute(f"SELECT {', '.join(COLUMNS)} FROM job ORDER BY number").fetchall()
        return [_job(row) for row in rows]

    def job(self, number: int) -> Job:
        """One job."""
        with self._read() as database:
            question = f"SELECT {', '.join(COLUMNS)} FROM job WHERE number = ?"
            return _job(database.execute(question, (number,)).fetchone())

    def command(self) -> tuple[list[str], Path]:
        """The words of the last command that was given for this sweep, and the directory that it was given in."""
        with self._read() as database:
            found = database.execute("SELECT words, place FROM command ORDER BY number DESC").fetchone()
        if found is None:
            raise UserError(f"'{self.sweep}' contains no command to resume; expected the whole command: trainer -m ...")
        return json.loads(found[0]), Path(found[1])

    def enrol(self, command: Sequence[str], cells: Mapping[str, Sequence[str]]) -> int:
        """Write down a command and those of its jobs that are new.

        Args:
            command: Its words.
            cells: The words of each job by its identity.

        Returns:
            int: How many are new.
        """
        with self._write() as database:
            known = {identity for (identity,) in database.execute("SELECT identity FROM job")}
            new = [(identity, json.dumps([*words])) for identity, words in cells.items() if identity not in known]
            given = (json.dumps([*command]), str(Path.cwd()), time.time())
            database.execute("INSERT INTO command (words, place, at) VALUES (?, ?, ?)", given)
            database.executemany(
                "INSERT INTO job (number, identity, words) VALUES ((SELECT IFNULL(MAX(number) + 1, 0) FROM job), ?, ?)",
                new,
            )
        return len(new)

    def replan(self, number: int, identity: str) -> None:
        """Give a job the identity that its words have now."""
        with self._write() as database:
            database.execute("UPDATE OR IGNORE job SET identity = ? WHERE number = ?", (identity, number))

    def start(self, job: Job) -> bool:
        """Take a job for this process, as it was when it was read.

        Returns:
            bool: False where another process has taken it, or had it already.
        """
        if job.state not in TO_RUN:
            return False
        me = (platform.node(), os.getpid(), born(os.getpid()), time.time())
        with self._write() as database:
            taken = database.execute(
                "UPDATE job SET state = 'running', tries = tries + 1, host = ?, pid = ?, born = ?, began = ?,"
                " ended = NULL, error = NULL WHERE number = ? AND tries = ? AND state = ?",
                (*me, job.number, job.tries, job.state),
            )
            return taken.rowcount == 1

    def hand_over(self, number: int, pid: int, tries: int | None = None) -> bool:
        """Say that a job, which was taken, is run by a process of this machine from now on.

        Args:
            number: Of the job.
            pid: Of the process.
            tries: Which of its tries that is; None where nobody else can have begun another.

        Returns:
            bool: False where it is not running any more, or is another try.
        """
        return self._give(number, tries, (platform.node(), pid, born(pid)))

    def hand_back(self, number: int, tries: int, owner: tuple[str, int, str | None]) -> None:
        """Give a job back to the process that has sent it to this machine, which will send it again."""
        self._give(number, tries, owner)

    def _give(self, number: int, tries: int | None, owner: tuple[str, int, str | None]) -> bool:
        change = "UPDATE job SET host = ?, pid = ?, born = ?, began = ?"
        which = " WHERE number = ? AND state = 'running' AND tries = IFNULL(?, tries)"
        with self._write() as database:
            return database.execute(change + which, (*owner, time.time(), number, tries)).rowcount == 1

    def end(
        self,
        number: int,
        state: State,
        error: str | None = None,
        *,
        seconds: float | None = None,
        tries: int | None = None,
    ) -> None:
        """Write down how a running job ended, with the result that its directory holds.

        Args:
            number: Of the job.
            state: How it ended.
            error: Why it failed.
            seconds: How long this try was; None for until now.
            tries: Which of its tries ended, if another process may have begun the next one by now.
        """
        kept = json.dumps(self.result(number)) if state in ("done", "pruned") else None
        with self._write() as database:
            database.execute(
                "UPDATE job SET state = ?, result = ?, error = ?, ended = ?, seconds = seconds + IFNULL(?, ? - began)"
                " WHERE number = ? AND state = 'running' AND tries = IFNULL(?, tries)",
                (state, kept, error, now := time.time(), seconds, now, number, tries),
            )

    def result(self, number: int) -> dict[str, Any] | None:
        """What the `result.json` of a job says; None where there is none."""
        file = self.sweep / str(number) / "result.json"
        return dict(json.loads(file.read_text())) if file.is_file() else None

    def output(self, number: int) -> Path:
        """The file for what a job prints that has a process of its own."""
        return self.sweep / "output" / f"{number}.log"

    def notice_the_dead(self, *, elsewhere: bool = False, but: Container[int] = ()) -> None:
        """Let no job be `running` whose process is gone: it is over if it had written its result, else interrupted.

        Args:
            elsewhere: Whether the processes on other machines, of which nobody here can tell, are gone as well.
            but: Numbers of jobs that the caller looks after by itself.
        """
        for job in self.jobs():
            if (
                job.state == "running"
                and job.number not in but
                and not lives(job.host, job.pid, job.born, elsewhere=not elsewhere)
            ):
                left = self.result(job.number) or {}
                state = ENDED.get(str(left.get("state")), "interrupted")
                seconds = left["seconds"] if state != "interrupted" else 0
                self.end(job.number, state, seconds=seconds, tries=job.tries)

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with told(self.file), connected(self.file) as database:
            yield database

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._read() as database:
            database.execute("BEGIN IMMEDIATE")  # others wait from here on
            yield database
            database.execute("COMMIT")


COLUMNS = [*Job.__dataclass_fields__]


def _job(row: Sequence[Any]) -> Job:
    facts = dict(zip(COLUMNS, row, strict=True))
    result = json.loads(facts["result"]) if facts["result"] else None
    return Job(**facts | {"words": json.loads(facts["words"]), "result": result})
