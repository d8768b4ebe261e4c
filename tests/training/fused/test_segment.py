"""Changes of a run between two segments that were trained together."""

import shutil
from pathlib import Path

import pytest

from tests.training.fused.conftest import compare
from trainer.training.fused import evaluation

CALLBACKS = Path(__file__).with_name("changing_callbacks.py")
COMMON = [
    *("data=digits", "data.val_size=50", "data.test_size=50", "model=mlp", "model.net.hidden=[8]", "logger=csv"),
    *("model.net.dropout=0.1", "trainer.max_epochs=3", "trainer.log_every_n_steps=10"),
    *("+callbacks.changes._target_=changing_callbacks.ChangesSettings", "+callbacks.changes.seed=${seed}"),
]
CHANGES = ["weight_decay", "rate", "dropout", "smoothing", "weights", "weights_in_place", "optimizer_state"]
QUICK = {"weight_decay", "weights"}


def marked(names):
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in names]


@pytest.fixture(autouse=True)
def callbacks(tmp_path):
    shutil.copy(CALLBACKS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("change", marked([*CHANGES, "hooks", "frozen"]))
def test_a_callback_that_changes_a_run_between_epochs_has_the_effect_that_it_has_alone(change, assert_equal_runs):
    assert_equal_runs([*COMMON, f"+callbacks.changes.change={change}"], [["seed=1"], ["seed=2"], ["seed=3"]])


@pytest.mark.slow
def test_a_callback_that_validates_with_other_weights_has_the_effect_that_it_has_alone(assert_equal_runs):
    callback = ["+callbacks.other._target_=changing_callbacks.HalvesWeightsInValidation"]
    assert_equal_runs([*COMMON[:-2], *callback], [["seed=1"], ["seed=2"]])


def test_a_callback_of_the_user_that_logs_in_steps_is_called(run_alone_and_together, work, tmp_path):
    callback = ["+callbacks.other._target_=changing_callbacks.LogsSteps"]
    codes = run_alone_and_together([*COMMON[:-2], *callback], [["seed=1"], ["seed=2"]])
    assert codes == [[0], [0]]
    assert "twice_the_step" in (tmp_path / "group/0/metrics.csv").read_text()
    assert compare(tmp_path, range(2)) == {}


@pytest.mark.slow
def test_runs_whose_evaluations_cannot_be_computed_together_are_still_trained_together(
    run_alone_and_together, work, tmp_path, monkeypatch
):
    def fail(works):
        raise RuntimeError("requested failure")

    monkeypatch.setattr(evaluation, "_evaluate", fail)
    codes = run_alone_and_together(COMMON[:-2], [["seed=1"], ["seed=2"]])
    assert codes == [[0], [0]]
    assert work["alone"] == 2  # the first evaluation
    assert work["segments"] == 2 * 3  # of each epoch
    assert compare(tmp_path, range(2)) == {}
