"""From axes to a space of a search, and spaces that make no sense."""

import re

import pytest

from trainer.config.compose import Composer
from trainer.core.errors import UserError
from trainer.sweep.search.search import plan_of
from trainer.sweep.search.search_space import Choices, Numbers

SEARCH = ["sweep.trials=5", "optimized_metric=val/loss"]


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: plan_of(Composer(), [*SEARCH, *words])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("optimizer.lr=interval(0.1,1)", Numbers("optimizer.lr", 0.1, 1, None, False, False)),
        ("optimizer.lr=tag(log,interval(1e-4,1))", Numbers("optimizer.lr", 1e-4, 1, None, True, False)),
        ("model.net.dropout=interval(0,0.5)", Numbers("model.net.dropout", 0.0, 0.5, None, False, False)),
        ("optimizer.lr=interval(-1,0)", Numbers("optimizer.lr", -1.0, 0.0, None, False, False)),
        ("data.shift_pixels=int(interval(0,2))", Numbers("data.shift_pixels", 0, 2, 1, False, True)),
        ("data.batch_size=int(interval(4,64))", Numbers("data.batch_size", 4, 64, 1, False, True)),
        ("data.batch_size=int(tag(log,interval(4,64)))", Numbers("data.batch_size", 4, 64, None, True, True)),
        ("data.batch_size=range(16,65,16)", Numbers("data.batch_size", 16, 64, 16, False, True)),
        ("model=mlp,linear", Choices("model", ("mlp", "linear"))),
        ("model.net.hidden=choice([8],[16,16],[8])", Choices("model.net.hidden", ("[8]", "[16,16]"))),
        ("+trainer.max_steps=3,4", Choices("+trainer.max_steps", ("3", "4"))),
    ],
)
def test_an_axis_is_a_dimension(word, expected, plan):
    assert plan(word).space.dimensions == (expected,)


def test_a_search_tries_real_numbers_between_0_and_the_upper_end_of_an_interval(command):
    words = ["-m", "data=xor", *SEARCH, "hydra.sweep.dir=s", "model.net.dropout=interval(0,0.5)", "--plan"]
    outcome = command(*words)
    assert outcome.code == 0, outcome.err
    tried = [float(value) for value in re.findall(r"model.net.dropout=(\S+)", outcome.out)]
    assert len({*tried}) == 5
    assert all(0 < value < 0.5 for value in tried)


def test_axes_may_stand_in_a_file_and_the_command_line_wins(plan):
    made = plan("experiment=digits_cnn", "hparams_search=digits_cnn", "optimizer.lr=interval(0.1,0.2)", "seed=3")
    keys = {each.key: each for each in made.space.dimensions}
    assert keys["optimizer.lr"] == Numbers("optimizer.lr", 0.1, 0.2, None, False, False)
    assert keys["model.net.channels"].values == ("[16,32]", "[32,64]", "[64,128]")
    assert made.trials == 5
    assert "seed=3" in made.space.fixed
    assert not [word for word in made.space.fixed if word.startswith("sweep")]


def test_each_end_and_each_choice_is_in_a_corner(plan):
    made = plan("optimizer.lr=interval(0.1,1)", "model=mlp,linear,cnn", "seed=3")
    corners = [" ".join(word for word in job if not word.startswith("optimized")) for job in made.space.corners()]
    assert corners == [
        "seed=3 optimizer.lr=0.1 model=mlp",
        "seed=3 optimizer.lr=1.0 model=mlp",
        "seed=3 optimizer.lr=0.1 model=linear",
        "seed=3 optimizer.lr=0.1 model=cnn",
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seed=3"], "sweep.trials: there is nothing to search"),
        (["model=glob(zzz*)"], "model: this axis of the search has no value"),
        (["seed=range(3,3)"], "seed: this axis of the search has no value"),
        (["optimizer.lr=interval(1,0.1)"], r"optimizer.lr: 1 to 0.1 holds no number; did you mean interval\(0.1,1\)"),
        (["optimizer.lr=tag(log,interval(0,1))"], "optimizer.lr: a logarithmic scale begins above 0, not at 0"),
        (["optimizer.lr=interval(0,inf)"], "optimizer.lr: an interval needs two finite ends, not 0 and inf"),
        (["data.batch_size=tag(log,range(1,9,2))"], "data.batch_size: a range with a step cannot be logarithmic"),
        (["optimizer.lr=tag(log,range(1.0,5.0))"], "optimizer.lr: a range with a step cannot be logarithmic"),
        (
            ["model=mlp,cnn", "sweep.trials=0"],
            "sweep.trials: 0 is too small; expected null or a whole",
        ),
        (["model=mlp,cnn", "sweep.workers=0"], "sweep.workers: 0 is too small"),
        (
            ["model=mlp,cnn", "sweep.retries=-1"],
            "sweep.retries: -1 is too small; expected a whole number",
        ),
        (["model=mlp,cnn", "sweep.seeds=3"], "sweep.seeds: a search chooses its jobs by itself"),
        (
            ["model=mlp,cnn", "optimized_metric=null"],
            "optimized_metric: a search needs to know what is to be optimized",
        ),
        (["model=mlp,cnn", "sweep.direction=up"], "sweep.direction: say min or max for each of val/loss, not up"),
        (["model=mlp,cnn", "sweep.sampler=tpo"], "sweep.sampler: there is no 'tpo'; did you mean 'tpe'"),
        (["model=mlp,cnn", "sweep.pruner=ahsa"], "sweep.pruner: there is no 'ahsa'; did you mean 'asha'"),
        (
            ["model=mlp,cnn", "sweep.sampler={_target_:optuna.samplers.TPESampler,startup:3}"],
            "sweep.sampler: optuna.samplers.TPESampler: .*startup",
        ),
        (
            ["model=mlp,cnn", "sweep.pruner=median", "optimized_metric=test/loss"],
            "sweep.pruner: 'test/loss' is not known before the training has ended",
        ),
        (
            ["model=mlp,cnn", "sweep.pruner=median", "optimized_metric=[val/loss,val/accuracy]"],
            "sweep.pruner: with several metrics",
        ),
        (
            ["model=mlp,cnn", "sweep.sampler=cmaes", "optimized_metric=[val/loss,val/accuracy]"],
            "sweep.sampler: cmaes optimizes one metric",
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_search_that_makes_no_sense_is_refused(words, told, plan):
    with pytest.raises(UserError, match=told):
        plan(*words)


def test_what_is_no_search_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plan_of(Composer(), ["seed=1,2"]) is None


def test_both_ends_are_checked_before_anything_begins(command):
    words = ["-m", "data=xor", *SEARCH, "hydra.sweep.dir=s"]
    wrong = command(*words, "model.net.dropout=interval(0,2)")
    assert wrong.code == 1
    assert "model.net.dropout" in wrong.err
    assert not (wrong.directory / "s").exists()
    assert "no such key; did you mean 'lr'" in command(*words, "optimizer.lrr=interval(0.1,1)").err
    assert "no metric 'val/los' is logged" in command(*words, "optimizer.lr=0.1,1", "optimized_metric=val/los").err
