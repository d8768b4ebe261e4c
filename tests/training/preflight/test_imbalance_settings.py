"""Reports of invalid settings against class imbalance, before the run starts."""

import shlex

import pytest

from trainer.sweeps.preflight import check_overrides

CASES = [
    ("objective.class_weights=[1,2]", "objective.class_weights", "found 2 weights; expected one for each of the 10"),
    ("objective.class_weights=equal", "objective.class_weights", "'equal'"),
    ("data=line model=linear objective.class_weights=balanced", "objective.class_weights", "has values, not classes"),
    (
        "data.sampling=balanced objective.class_weights=balanced",
        "objective.class_weights",
        "data.sampling=balanced balances the classes already",
    ),
    ("objective.focal_gamma=1", "objective.focal_gamma", "no effect without objective.loss=focal"),
    ("objective.threshold=f1", "objective.threshold", "only for two classes, but data 'digits' has 10 classes"),
    ("data=xor objective.threshold=recall", "objective.threshold", "recall"),
    (
        "data=xor objective.threshold=f1 +trainer.limit_val_batches=0",
        "objective.threshold",
        "cannot be chosen without validation",
    ),
    ("data=xor objective.loss=hinge objective.metrics=[brier]", "objective.metrics", "needs probabilities"),
    ("data.sampling=equal", "data.sampling", "equal"),
    (
        "data=table data.path=file data.task=regression data.features=2 data.synthetic=true data.sampling=balanced",
        "data.sampling",
        "has values, not classes",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command_line", "key", "message"), CASES, ids=[case[0] for case in CASES])
def test_an_invalid_setting_is_reported_once(command_line, key, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    errors = [item for item in check_overrides(shlex.split(command_line)).diagnostics if item.is_error]
    assert [item.key for item in errors] == [key]
    assert message in str(errors[0])
