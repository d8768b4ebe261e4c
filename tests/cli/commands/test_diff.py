"""Tests of `trainer diff` with experiments, overrides and runs."""

import json


def test_two_experiments_differ_in_their_settings(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/one.yaml").write_text("optimizer:\n  lr: 0.5\n")
    (tmp_path / "experiments/two.yaml").write_text("defaults:\n  - override /scheduler: step\noptimizer:\n  lr: 0.25\n")
    differences = json.loads(command("diff", "one", "two", "--json").out)
    assert differences["optimizer.lr"] == [0.5, 0.25]
    assert differences["scheduler.every_n_epochs"] == ["-", 5]
    assert {key.partition(".")[0] for key in differences} == {"task_name", "optimizer", "scheduler"}


def test_a_run_equals_its_own_overrides(command):
    overrides = ["data=xor", "trainer.max_epochs=1", "seed=3"]
    run = command(*overrides).runs[0]
    outcome = command("diff", str(run), " ".join(overrides))
    assert (outcome.code, outcome.out) == (0, "no difference\n")
    differences = json.loads(command("diff", str(run), "data=xor trainer.max_epochs=2 seed=3", "--json").out)
    assert differences == {"trainer.max_epochs": [1, 2]}


def test_the_table_has_a_column_for_each_config(command):
    out = command("diff", "seed=1", "seed=2").out
    assert "seed=1" in out
    assert [line.split() for line in out.splitlines() if line.split()[:1] == ["seed"]] == [["seed", "1", "2"]]


def test_invalid_arguments_are_reported(command, tmp_path):
    (tmp_path / "empty").mkdir()
    assert command("diff", "seed=1").err.startswith("error: diff: the following arguments are required: b")
    assert command("diff", "empty", "seed=1").err == "error: 'empty' is not a run directory: it has no config.yaml\n"
    assert "there is no 'experiment/mnist_cn'; did you mean 'mnist_cnn'?" in command("diff", "mnist_cn", "seed=1").err
