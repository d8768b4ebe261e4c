import json
from pathlib import Path

import pytest
import torch

from trainer.core.spec import DataSpec
from trainer.training.thread_count import TINY, threads_for, work


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_each_weight_works_at_each_place_of_an_input():
    assert work(17, DataSpec("xor", "vector", (2,), "classes", 1), 4) == 17 * 4
    assert work(100, DataSpec("digits", "image", (3, 8, 9), "classes", 10), 4) == 100 * 8 * 9 * 4
    assert work(100, DataSpec("stock", "sequence", (10, 1), "values", 1), 4) == 100 * 10 * 4
    assert work(100, DataSpec("imdb", "tokens", (500,), "classes", 1, vocabulary_size=9), 4) == 100 * 500 * 4


def test_little_work_is_made_by_one_thread_and_much_by_all(two_threads, monkeypatch):
    with threads_for(TINY):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads_for(TINY + 1):
        assert torch.get_num_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with threads_for(0):
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("words", "threads"), [(["data=xor"], 1), (["experiment=digits_cnn"], 2)])
def test_the_record_of_a_run_says_how_many_there_were(command, two_threads, words, threads):
    run = command(*words, "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "hydra.run.dir=run")
    assert run.code == 0, run.err
    assert json.loads(Path("run/provenance.json").read_text())["machine"]["threads"] == threads
    assert torch.get_num_threads() == 2
