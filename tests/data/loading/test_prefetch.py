"""Batches read ahead: the same whoever reads them, and no process outlives its last batch."""

import multiprocessing
import os
import re
import signal

import pytest
import torch

from trainer.core.errors import UserError, mendable
from trainer.data.loading.prefetch import MOST, read_ahead, workers_for

NAMES = [["1", "2"], ["3", "4"], ["5"]]


def numbers(names):
    """Stands for reading files."""
    if "broken" in names:
        raise UserError("broken: a picture that cannot be read")
    return torch.tensor([int(name) for name in names])


def ahead(names=NAMES, workers=2):
    return read_ahead(numbers, names, workers=workers, prefetch=2, pinned=False)


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_batches_come_in_their_order_whoever_reads_them(workers):
    assert [batch.tolist() for batch in ahead(workers=workers)] == [[1, 2], [3, 4], [5]]


def test_the_workers_end_with_the_last_batch_though_nobody_asks_for_another():
    batches = ahead()
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    assert [next(batches).tolist() for _ in range(2)] == [[3, 4], [5]]
    assert multiprocessing.active_children() == []


def test_the_workers_end_where_the_rest_is_not_wanted():
    batches = ahead()
    next(batches)
    del batches
    assert multiprocessing.active_children() == []


def test_workers_are_forked_where_the_process_itself_was_begun_in_another_way():
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("forkserver", force=True)  # as in a job that a sweep runs beside others
    try:
        batches = ahead()
        next(batches)
        assert {type(child).__name__ for child in multiprocessing.active_children()} == {"ForkProcess"}
        del batches
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_one_batch_is_read_here():
    assert next(ahead([["1"]])).tolist() == [1]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_that_a_worker_finds_is_told_as_if_it_were_found_here(workers):
    batches = ahead([["1"], ["broken"], ["2"]], workers)
    next(batches)
    with pytest.raises(UserError, match=r"^broken: a picture that cannot be read$"):
        next(batches)


def test_a_ctrl_c_in_the_terminal_is_left_to_the_run():
    batches = ahead([[str(number)] for number in range(20)])
    next(batches)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGINT)
    assert len([*batches]) == 19


@pytest.mark.slow
def test_a_worker_that_was_killed_is_told_with_what_to_type():
    batches = ahead([[str(number)] for number in range(20)])
    next(batches)
    with pytest.raises(RuntimeError) as told:  # noqa: PT012  at any moment, also within a step of the training
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        list(batches)
    del batches
    said = str(mendable(told.value, {}))
    assert re.fullmatch(
        r"data.workers: DataLoader worker .*\n  fewer of them need less memory, data.workers=0 none", said
    )


@pytest.mark.parametrize("error", [ConnectionResetError, ConnectionRefusedError, EOFError])
def test_a_worker_that_was_killed_as_it_handed_over_a_batch_is_told_too(error, monkeypatch):
    def broken_off(*_):
        raise error

    batches = ahead()
    next(batches)
    monkeypatch.setattr("multiprocessing.queues._ForkingPickler.loads", broken_off)
    with pytest.raises(RuntimeError) as told:
        list(batches)
    del batches
    assert "data.workers=0" in str(mendable(told.value, {}))


def test_the_runs_own_random_numbers_are_left_alone():
    state = torch.get_rng_state()
    list(ahead())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("asked", "cores", "threads", "processes", "workers"),
    [
        ("auto", 4, None, 1, 3),
        ("auto", 1, None, 1, 0),
        ("auto", 8, "2", 1, 1),  # as in a sweep of four jobs side by side
        ("auto", 2, "8", 1, 1),
        ("auto", 8, None, 2, 3),
        ("auto", 64, None, 1, MOST),
        ("auto", 2, None, 4, 0),
        (5, 1, "1", 1, 5),
        (0, 8, None, 1, 0),
    ],
)
def test_unasked_there_is_a_worker_for_each_core_but_the_one_that_trains(
    asked, cores, threads, processes, workers, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert workers_for(asked, processes) == workers
