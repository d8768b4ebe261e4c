"""Settings of a search in a ledger that was corrupted or comes from elsewhere."""

import copy

import pytest

from trainer.core.errors import UserError
from trainer.sweeps.store.trial_store import TrialLedger

SETTINGS = {
    "space": {
        "optimizer.lr": {"key": "optimizer.lr", "low": 0.01, "high": 1, "step": None, "log": True, "whole": False},
        "model": {"key": "model", "values": ["mlp", "linear"]},
    },
    "fixed": ["data=xor"],
    "goal": {
        "metrics": ["val/loss"],
        "directions": ["min"],
        "sampler": {"_target_": "optuna.samplers.NSGAIISampler"},
        "pruner": "none",
        "seed": 1,
    },
    "trials": 2,
}
REMOVED = object()


def change(path, value):
    """Return the settings with another value at a path of keys."""
    settings = copy.deepcopy(SETTINGS)
    *parents, key = path
    node = settings
    for parent in parents:
        node = node[parent]
    if value is REMOVED:
        del node[key]
    else:
        node[key] = value
    return settings


def test_valid_settings_are_returned_as_they_were_saved(tmp_path):
    ledger = TrialLedger.open_or_create(tmp_path)
    assert ledger.settings() is None
    ledger.save_settings(SETTINGS)
    assert ledger.settings() == SETTINGS


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["goal", "metrics"], [[]], r"goal: metrics: expected list\[str\]"),
        (["goal", "directions"], ["up"], "goal: directions: expected"),
        (["goal", "directions"], [], "goal: expected one direction for each metric"),
        (["goal"], REMOVED, "search: goal is missing"),
        (["goal", "seed"], REMOVED, "goal: seed is missing"),
        (["trials"], "2", "search: trials: expected int"),
        (["space", "optimizer.lr", "low"], "0", "space: low: expected float"),
        (["space", "optimizer.lr", "whole"], REMOVED, "space: whole is missing"),
        (["space", "model", "values"], [["mlp"]], r"space: values: expected list\[str\]"),
        (["space", "model"], None, "search: space: expected"),
        (["fixed"], "data=xor", r"search: fixed: expected list\[str\]"),
    ],
)
def test_an_invalid_setting_is_one_error_that_names_it(path, value, problem, tmp_path):
    ledger = TrialLedger.open_or_create(tmp_path)
    ledger.save_settings(change(path, value))
    with pytest.raises(UserError, match=problem):
        ledger.settings()
