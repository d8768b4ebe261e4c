"""Tests of the cause that is reported if processes of a run fail, and of the end of the process group."""

import signal
from multiprocessing import Pipe
from types import SimpleNamespace

import pytest
import torch.distributed
from torch.distributed import HashStore

from trainer.core.errors import UserError
from trainer.core.rank import World
from trainer.training.distributed import local_launcher, rendezvous
from trainer.training.distributed.local_launcher import _RankHandle, _wait_for_result
from trainer.training.distributed.rank_process import Failure

LOST = Failure(RuntimeError("connection closed"), "gloo/transport", is_lost_connection=True)
BUG = Failure(ValueError("a bug"), "traceback")


def make_handle(rank, outcome=None, status=None, late=None):
    """Return a handle of a simulated process.

    Args:
        rank: Rank of the process.
        outcome: Answer that the process has sent. None if it has sent none.
        status: Exit status. None if the process is running; else its end of the pipe is closed.
        late: Answer that a running process sends only when the launcher has found it running.
    """
    reader, writer = Pipe(duplex=False)
    if outcome is not None:
        writer.send(outcome)
    if status is not None:
        writer.close()

    def poll():
        nonlocal late
        if late is not None:
            writer.send(late)
            late = None
        return status

    process = SimpleNamespace(poll=poll, wait=lambda: status, writer=writer)  # a running process keeps its end open
    return _RankHandle(rank, process, reader)


def wait_for(*handles):
    return _wait_for_result(handles, World(len(handles), len(handles)))


@pytest.mark.parametrize(
    "handles",
    [
        pytest.param(lambda: [make_handle(0, LOST, 1), make_handle(1, BUG, 1)], id="both have answered"),
        pytest.param(lambda: [make_handle(0, LOST, 1), make_handle(1, late=BUG)], id="the cause is reported later"),
        pytest.param(lambda: [make_handle(0), make_handle(1, BUG, 1)], id="the other one is still running"),
        pytest.param(lambda: [make_handle(0, {"loss": 1.0}, 0), make_handle(1, BUG, 1)], id="the other one has ended"),
    ],
)
def test_an_exception_is_attributed_to_its_rank_and_not_to_a_lost_connection(handles):
    with pytest.raises(ValueError, match=r"^a bug") as error:
        wait_for(*handles())
    assert error.value.__notes__ == ["(rank 1 of 2)"]
    assert str(error.value.__cause__) == "\n\ntraceback"


@pytest.mark.parametrize("outcome", [LOST, BUG], ids=["lost connection", "exception"])
def test_a_killed_process_is_the_cause_of_the_failure_of_another_one(outcome):
    with pytest.raises(UserError) as error:
        wait_for(make_handle(0, outcome, 1), make_handle(1, status=-signal.SIGKILL))
    assert str(error.value) == "rank 1 of 2 was killed by SIGKILL\n  the system kills processes if memory runs out"


def test_an_exit_without_an_answer_is_the_cause_of_a_lost_connection():
    with pytest.raises(UserError, match=r"^rank 1 of 2 exited with status 3 before the run finished$"):
        wait_for(make_handle(0, LOST, 1), make_handle(1, status=3))


def test_a_lost_connection_is_reported_if_no_other_cause_is_found(monkeypatch):
    with pytest.raises(RuntimeError, match="connection closed") as error:
        wait_for(make_handle(0, {}, 0), make_handle(1, LOST, 1), make_handle(2, LOST, 1))
    assert error.value.__notes__[-1] == "(rank 1 of 3)"
    monkeypatch.setattr(local_launcher, "CAUSE_SECONDS", 0.0)
    monkeypatch.setattr(local_launcher, "POLL_SECONDS", 0.01)
    with pytest.raises(RuntimeError, match="connection closed") as error:
        wait_for(make_handle(0), make_handle(1, LOST, 1))
    assert error.value.__notes__[-1] == "(rank 1 of 2)"


def test_the_result_is_that_of_the_first_process():
    assert wait_for(make_handle(0, {"loss": 1.0}, 0), make_handle(1, {"loss": 2.0}, 0)) == {"loss": 1.0}


def test_the_process_group_is_destroyed_at_exit(monkeypatch):
    registered = []
    monkeypatch.setattr(rendezvous.atexit, "register", registered.append)
    monkeypatch.setattr(rendezvous, "Rendezvous", lambda *_, **__: None)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    rendezvous.rendezvous.__wrapped__()
    [destroy] = registered
    torch.distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    destroy()
    assert not torch.distributed.is_initialized()
    destroy()  # a process without a group
