import json
from pathlib import Path

import pytest
import torch

from trainer.core.spec import DataSpec
from trainer.training import thread_count
from trainer.training.thread_count import MAX_SINGLE_THREAD_MULTIPLICATIONS, estimate_multiplications, thread_limit


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(thread_count, "count_cpus", lambda: 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_each_weight_is_used_at_each_position_of_an_input():
    assert estimate_multiplications(17, DataSpec("xor", "vector", (2,), "classification", 1), 4) == 17 * 4
    assert (
        estimate_multiplications(100, DataSpec("digits", "image", (3, 8, 9), "classification", 10), 4)
        == 100 * 8 * 9 * 4
    )
    assert estimate_multiplications(100, DataSpec("stock", "sequence", (10, 1), "regression", 1), 4) == 100 * 10 * 4
    assert (
        estimate_multiplications(100, DataSpec("imdb", "tokens", (500,), "classification", 1, vocabulary_size=9), 4)
        == 100 * 500 * 4
    )


def test_small_networks_use_one_thread_and_large_ones_all(two_threads, monkeypatch):
    with thread_limit(MAX_SINGLE_THREAD_MULTIPLICATIONS):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with thread_limit(MAX_SINGLE_THREAD_MULTIPLICATIONS + 1):
        assert torch.get_num_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with thread_limit(0):
        assert torch.get_num_threads() == 2


def test_the_quota_of_a_container_limits_the_threads(two_threads, monkeypatch):
    monkeypatch.setattr(thread_count, "count_cpus", lambda: 1)
    with thread_limit(MAX_SINGLE_THREAD_MULTIPLICATIONS + 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("overrides", "threads"), [(["data=xor"], 1), (["experiment=digits_cnn"], 2)])
def test_a_run_records_its_number_of_threads(command, two_threads, overrides, threads):
    run = command(*overrides, "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "hydra.run.dir=run")
    assert run.code == 0, run.err
    assert json.loads(Path("run/provenance.json").read_text())["machine"]["threads"] == threads
    assert torch.get_num_threads() == 2
