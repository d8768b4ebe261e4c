"""Search spaces, valid and invalid."""

import re

import pytest

from trainer.config.compose import Composer
from trainer.core.errors import UserError
from trainer.sweeps.search.dimensions import CategoricalDimension, NumericDimension
from trainer.sweeps.search.search import plan_search

SEARCH = ["sweep.n_trials=5", "optimized_metric=val/loss"]


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: plan_search(Composer(), [*SEARCH, *args])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimizer.lr=interval(0.1,1)", NumericDimension("optimizer.lr", 0.1, 1, None, False, False)),
        ("optimizer.lr=tag(log,interval(1e-4,1))", NumericDimension("optimizer.lr", 1e-4, 1, None, True, False)),
        ("model.net.dropout=interval(0,0.5)", NumericDimension("model.net.dropout", 0.0, 0.5, None, False, False)),
        ("optimizer.lr=interval(-1,0)", NumericDimension("optimizer.lr", -1.0, 0.0, None, False, False)),
        (
            "data.augmentation.0.affine.shift_pixels=int(interval(0,2))",
            NumericDimension("data.augmentation.0.affine.shift_pixels", 0, 2, 1, False, True),
        ),
        ("data.batch_size=int(interval(4,64))", NumericDimension("data.batch_size", 4, 64, 1, False, True)),
        ("data.batch_size=int(tag(log,interval(4,64)))", NumericDimension("data.batch_size", 4, 64, None, True, True)),
        ("data.batch_size=range(16,65,16)", NumericDimension("data.batch_size", 16, 64, 16, False, True)),
        ("model=mlp,linear", CategoricalDimension("model", ("mlp", "linear"))),
        ("model.net.hidden=choice([8],[16,16],[8])", CategoricalDimension("model.net.hidden", ("[8]", "[16,16]"))),
        ("+trainer.max_steps=3,4", CategoricalDimension("+trainer.max_steps", ("3", "4"))),
    ],
)
def test_an_axis_is_a_dimension(override, expected, plan):
    assert plan(override).space.dimensions == (expected,)


def test_a_search_tries_real_numbers_between_the_bounds_of_an_interval(command):
    args = ["-m", "data=xor", *SEARCH, "hydra.sweep.dir=s", "model.net.dropout=interval(0,0.5)", "--plan"]
    outcome = command(*args)
    assert outcome.code == 0, outcome.err
    tried = [float(value) for value in re.findall(r"model.net.dropout=(\S+)", outcome.out)]
    assert len({*tried}) == 5
    assert all(0 < value < 0.5 for value in tried)


def test_axes_of_the_command_line_override_those_of_a_file(plan):
    planned = plan("experiment=digits_cnn", "hparams_search=digits_cnn", "optimizer.lr=interval(0.1,0.2)", "seed=3")
    keys = {dimension.key: dimension for dimension in planned.space.dimensions}
    assert keys["optimizer.lr"] == NumericDimension("optimizer.lr", 0.1, 0.2, None, False, False)
    assert keys["model.net.channels"].values == ("[16,32]", "[32,64]", "[64,128]")
    assert planned.trials == 5
    assert "seed=3" in planned.space.fixed
    assert not [override for override in planned.space.fixed if override.startswith("sweep")]


def test_each_bound_and_each_choice_is_in_a_corner(plan):
    planned = plan("optimizer.lr=interval(0.1,1)", "model=mlp,linear,cnn", "seed=3")
    corners = [
        " ".join(override for override in job if not override.startswith("optimized"))
        for job in planned.space.corners()
    ]
    assert corners == [
        "seed=3 optimizer.lr=0.1 model=mlp",
        "seed=3 optimizer.lr=1.0 model=mlp",
        "seed=3 optimizer.lr=0.1 model=linear",
        "seed=3 optimizer.lr=0.1 model=cnn",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["seed=3"], "sweep.n_trials: a search without axes; expected at least one\n  for example "),
        (["model=glob(zzz*)"], "model: search axis without values; expected at least one$"),
        (["seed=range(3,3)"], "seed: search axis without values; expected at least one$"),
        (
            ["optimizer.lr=interval(1,0.1)"],
            r"optimizer.lr: empty interval from 1 to 0.1; did you mean interval\(0.1,1\)",
        ),
        (
            ["optimizer.lr=tag(log,interval(0,1))"],
            "optimizer.lr: logarithmic scale from 0; expected a lower bound above 0",
        ),
        (["optimizer.lr=interval(0,inf)"], "optimizer.lr: interval from 0 to inf; expected finite bounds"),
        (["data.batch_size=tag(log,range(1,9,2))"], "data.batch_size: a range with a step cannot be logarithmic"),
        (["optimizer.lr=tag(log,range(1.0,5.0))"], "optimizer.lr: a range with a step cannot be logarithmic"),
        (
            ["model=mlp,cnn", "sweep.n_trials=0"],
            "sweep.n_trials: 0 is too small; expected null or a whole",
        ),
        (["model=mlp,cnn", "sweep.workers=0"], "sweep.workers: 0 is too small"),
        (
            ["model=mlp,cnn", "sweep.retries=-1"],
            "sweep.retries: -1 is too small; expected a whole number",
        ),
        (["model=mlp,cnn", "sweep.seeds=3"], "sweep.seeds: not supported in a search; remove it or sweep.n_trials$"),
        (
            ["model=mlp,cnn", "optimized_metric=null"],
            "optimized_metric: null in a search; expected a metric, for example val/loss$",
        ),
        (
            ["model=mlp,cnn", "sweep.direction=up"],
            "sweep.direction: invalid value up; expected min or max for each of val/loss",
        ),
        (["model=mlp,cnn", "sweep.sampler=tpo"], "sweep.sampler: unknown name 'tpo'; did you mean 'tpe'"),
        (["model=mlp,cnn", "sweep.pruner=ahsa"], "sweep.pruner: unknown name 'ahsa'; did you mean 'asha'"),
        (
            ["model=mlp,cnn", "sweep.sampler={_target_:optuna.samplers.TPESampler,startup:3}"],
            "sweep.sampler: optuna.samplers.TPESampler: .*startup",
        ),
        (
            ["model=mlp,cnn", "sweep.pruner=median", "optimized_metric=test/loss"],
            "sweep.pruner: 'test/loss' is only measured after training; expected a metric of the validation$",
        ),
        (
            ["model=mlp,cnn", "sweep.pruner=median", "optimized_metric=[val/loss,val/accuracy]"],
            "sweep.pruner: trials with several metrics cannot be pruned; expected none$",
        ),
        (
            ["model=mlp,cnn", "sweep.sampler=cmaes", "optimized_metric=[val/loss,val/accuracy]"],
            "sweep.sampler: cmaes optimizes one metric; expected tpe, nsga2 or gp for several$",
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_an_invalid_search_is_an_error(args, message, plan):
    with pytest.raises(UserError, match=message):
        plan(*args)


def test_a_sweep_without_n_trials_is_not_a_search(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plan_search(Composer(), ["seed=1,2"]) is None


@pytest.mark.slow
def test_both_bounds_are_checked_before_the_first_trial(command):
    args = ["-m", "data=xor", *SEARCH, "hydra.sweep.dir=s"]
    outcome = command(*args, "model.net.dropout=interval(0,2)")
    assert outcome.code == 1
    assert "model.net.dropout" in outcome.err
    assert not (outcome.directory / "s").exists()
    assert "no such key; did you mean 'lr'" in command(*args, "optimizer.lrr=interval(0.1,1)").err
    assert "no metric 'val/los' is logged" in command(*args, "optimizer.lr=0.1,1", "optimized_metric=val/los").err
