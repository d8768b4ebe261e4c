"""Prefetching of batches by any number of workers, which exit after the last batch."""

import multiprocessing
import os
import re
import signal
from multiprocessing.connection import wait

import pytest
import torch

from trainer.core.errors import UserError, to_user_error
from trainer.data.loading.prefetch import MAX_WORKERS, prefetch_batches, resolve_num_workers

NAMES = [["1", "2"], ["3", "4"], ["5"]]


def read_numbers(names):
    """Return the names as numbers, in place of reading files."""
    if "broken" in names:
        raise UserError("broken: an image that cannot be read")
    return torch.tensor([int(name) for name in names])


def prefetch(names=NAMES, workers=2):
    return prefetch_batches(read_numbers, names, workers=workers, prefetch=2, pinned=False)


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_batches_are_in_order_for_any_number_of_workers(workers):
    assert [batch.tolist() for batch in prefetch(workers=workers)] == [[1, 2], [3, 4], [5]]


def test_workers_exit_after_the_last_batch():
    batches = prefetch()
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    assert [next(batches).tolist() for _ in range(2)] == [[3, 4], [5]]
    assert multiprocessing.active_children() == []


def test_workers_exit_if_the_iterator_is_deleted():
    batches = prefetch()
    next(batches)
    del batches
    assert multiprocessing.active_children() == []


def test_workers_are_forked_also_in_a_process_of_a_forkserver():
    method = multiprocessing.get_start_method()
    multiprocessing.set_start_method("forkserver", force=True)  # as in a job that a sweep runs beside others
    try:
        batches = prefetch()
        next(batches)
        assert {type(child).__name__ for child in multiprocessing.active_children()} == {"ForkProcess"}
        del batches
    finally:
        multiprocessing.set_start_method(method, force=True)


def test_one_batch_is_read_without_a_worker():
    assert next(prefetch([["1"]])).tolist() == [1]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_is_raised_unchanged(workers):
    batches = prefetch([["1"], ["broken"], ["2"]], workers)
    next(batches)
    with pytest.raises(UserError, match=r"^broken: an image that cannot be read$"):
        next(batches)


def test_workers_ignore_ctrl_c():
    batches = prefetch([[str(number)] for number in range(20)])
    next(batches)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGINT)
    assert len([*batches]) == 19


@pytest.mark.slow
def test_a_killed_worker_is_an_error_with_a_hint():
    batches = prefetch([[str(number)] for number in range(20)])
    next(batches)
    process = multiprocessing.active_children()[0]
    process.kill()
    wait([process.sentinel])  # raises nothing: an error outside a request of a batch might be lost
    with pytest.raises(RuntimeError) as raised:
        list(batches)
    del batches
    message = str(to_user_error(raised.value, {}))
    assert re.fullmatch(
        r"data.workers: DataLoader worker .*\n  fewer workers need less memory; data.workers=0 uses none", message
    )


@pytest.mark.parametrize("error", [ConnectionResetError, ConnectionRefusedError, EOFError])
@pytest.mark.slow
def test_a_worker_killed_while_it_returned_a_batch_is_an_error(error, monkeypatch):
    def fail(*_):
        raise error

    batches = prefetch()
    next(batches)
    monkeypatch.setattr("multiprocessing.queues._ForkingPickler.loads", fail)
    with pytest.raises(RuntimeError) as raised:
        list(batches)
    del batches
    assert "data.workers=0" in str(to_user_error(raised.value, {}))


def test_the_global_random_state_is_not_changed():
    state = torch.get_rng_state()
    list(prefetch())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("configured", "cores", "threads", "processes", "workers"),
    [
        ("auto", 4, None, 1, 3),
        ("auto", 1, None, 1, 0),
        ("auto", 8, "2", 1, 1),  # as in a sweep of four jobs side by side
        ("auto", 2, "8", 1, 1),
        ("auto", 8, None, 2, 3),
        ("auto", 64, None, 1, MAX_WORKERS),
        ("auto", 2, None, 4, 0),
        (5, 1, "1", 1, 5),
        (0, 8, None, 1, 0),
    ],
)
def test_auto_is_a_worker_per_core_except_one_for_training(configured, cores, threads, processes, workers, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert resolve_num_workers(configured, processes) == workers
