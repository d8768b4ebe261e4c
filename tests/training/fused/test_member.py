"""Groups in which some runs fail, stop early or must run alone."""

import contextlib
import io
import json
import logging
import random
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils import deterministic

from tests.training.fused.conftest import compare
from trainer.training.fused import group
from trainer.training.fused.current import current_member
from trainer.training.fused.group import run_group
from trainer.training.fused.work import Request

CALLBACKS = Path(__file__).with_name("failing_callbacks.py")
COMMON = [
    *("data=diabetes", "data.synthetic=true", "model=mlp", "model.net.hidden=[8]", "trainer.max_epochs=4"),
    *("logger=csv", "trainer.log_every_n_steps=4"),
    "+callbacks.fails={_target_: failing_callbacks.Fails, hook: none}",
]
FAILS = "callbacks.fails.hook=%s"


@pytest.fixture(autouse=True)
def callbacks(tmp_path):
    shutil.copy(CALLBACKS, tmp_path)


def read_result(number, folder="group"):
    return json.loads(Path(folder, str(number), "result.json").read_text())


@pytest.mark.slow
def test_a_run_that_becomes_nan_ends_as_alone_and_changes_no_other(run_alone_and_together, work, tmp_path):
    rates = ["0.001", "1e30", "0.01", "1e30"]
    sgd = ["optimizer=sgd", "optimizer.momentum=0.9"]
    codes = run_alone_and_together([*COMMON, *sgd], [[f"optimizer.lr={rate}"] for rate in rates])
    assert [code == [0] for code in codes] == [True, False, True, False]
    assert compare(tmp_path, range(4)) == {}
    assert read_result(1)["state"] == "failed"
    assert "the loss is nan" in read_result(1)["error"]
    assert work["alone"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "hook",
    [
        "on_fit_start",
        "on_train_epoch_end",
        *(pytest.param(hook, marks=pytest.mark.slow) for hook in ("on_validation_epoch_end", "on_test_start")),
    ],
)
def test_a_run_that_fails_ends_as_alone_and_changes_no_other(hook, run_alone_and_together, work, tmp_path, capfd):
    codes = run_alone_and_together(COMMON, [["seed=1"], ["seed=2", FAILS % hook], ["seed=3"]])
    assert codes == [[0], [1], [0]]
    assert compare(tmp_path, range(3)) == {}
    assert read_result(1)["error"] == f"RuntimeError: requested failure in {hook}"
    assert work["segments"]


@pytest.mark.slow
def test_runs_of_a_network_of_the_user_are_trained_alone_next_to_others(run_alone_and_together, work, tmp_path):
    user = ["model=custom", "model._target_=trainer.task.supervised.Supervised"]
    user += ["+model.net={_target_: failing_callbacks.Counting, _partial_: true}"]
    codes = run_alone_and_together(
        [item for item in COMMON if not item.startswith("model")],
        [["model=mlp", "seed=1"], [*user, "seed=2"], ["model=mlp", "seed=3"], [*user, "seed=4"]],
    )
    assert codes == [[0]] * 4
    assert compare(tmp_path, range(4)) == {}
    assert work["largest"] == 2


@pytest.mark.slow
def test_a_group_with_runs_that_fail_become_nan_stop_early_and_run_alone(run_alone_and_together, work, tmp_path):
    early = ["callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=0"]
    members = [
        ["seed=1"],
        ["optimizer.lr=1e30", "optimizer=sgd"],
        [FAILS % "on_train_epoch_end"],
        [*early, "callbacks.early_stopping.min_delta=9"],
        ["callbacks=[default,histograms]", "seed=5"],
        ["seed=6", "model.net.hidden=[4]"],
        ["seed=7"],
    ]
    codes = run_alone_and_together(COMMON, members)
    assert [code == [0] for code in codes] == [True, False, False, True, True, True, True]
    assert compare(tmp_path, range(7)) == {}
    assert read_result(3)["epochs"] < read_result(0)["epochs"]
    assert work["largest"] >= 3


def test_each_run_has_its_own_random_numbers_output_and_logging(monkeypatch):
    states = {"a": [], "b": []}

    def draw(name, is_paused):
        member = current_member()
        random.seed(name)
        np.random.seed(ord(name))
        torch.manual_seed(ord(name))
        torch.use_deterministic_algorithms(name == "a")
        sys.stdout = sys.stderr = name
        logging.getLogger().setLevel(logging.INFO if name == "a" else logging.ERROR)
        for step in range(3):
            numbers = (random.random(), float(np.random.rand()), float(torch.rand(())))
            settings = (torch.are_deterministic_algorithms_enabled(), logging.getLogger().level, sys.stdout, sys.stderr)
            states[name].append((numbers, settings))
            if is_paused:
                member.compute(Request("key", None, step, None))

    monkeypatch.setattr(group, "_compute_next", lambda waiting, segments: dict.fromkeys(waiting))
    results = []
    before = (sys.stdout, sys.stderr, logging.getLogger().level, torch.are_deterministic_algorithms_enabled())
    try:
        for is_paused in (False, True):
            states["a"], states["b"] = [], []
            run_group([partial(draw, name, is_paused) for name in states])
            results.append({**states})
    finally:
        sys.stdout, sys.stderr = before[:2]
        logging.getLogger().setLevel(before[2])
        torch.use_deterministic_algorithms(before[3])
    assert results[0] == results[1]
    assert len({str(values) for values in results[1].values()}) == 2


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_group_restores_the_state_of_the_process(error):
    def change():
        sys.stdout = io.StringIO()
        logging.getLogger().handlers = []
        deterministic.fill_uninitialized_memory = False
        torch.rand(1)
        if error:
            raise error

    handlers = [*logging.getLogger().handlers]
    stdout, random_state = sys.stdout, torch.get_rng_state()
    with pytest.raises(error) if error else contextlib.nullcontext():
        run_group([change, change])
    assert sys.stdout is stdout
    assert logging.getLogger().handlers == handlers
    assert deterministic.fill_uninitialized_memory
    assert torch.equal(torch.get_rng_state(), random_state)
