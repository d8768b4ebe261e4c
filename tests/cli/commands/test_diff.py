"""`trainer diff`: experiments, words and runs compared value by value."""

import json


def test_two_experiments_differ_in_what_they_set(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/one.yaml").write_text("optimizer:\n  lr: 0.5\n")
    (tmp_path / "experiments/two.yaml").write_text("defaults:\n  - override /scheduler: step\noptimizer:\n  lr: 0.25\n")
    told = json.loads(command("diff", "one", "two", "--json").out)
    assert told["optimizer.lr"] == {"a": 0.5, "b": 0.25}
    assert told["scheduler.every_epochs"] == {"a": "-", "b": 5}
    assert {key.partition(".")[0] for key in told} == {"task_name", "optimizer", "scheduler"}


def test_a_run_is_like_the_words_it_was_made_with(command):
    words = ["data=xor", "trainer.max_epochs=1", "seed=3"]
    run = command(*words).runs[0]
    outcome = command("diff", str(run), " ".join(words))
    assert (outcome.code, outcome.out) == (0, "no difference\n")
    told = json.loads(command("diff", str(run), "data=xor trainer.max_epochs=2 seed=3", "--json").out)
    assert told == {"trainer.max_epochs": {"a": 1, "b": 2}}


def test_the_table_has_a_column_for_each(command):
    out = command("diff", "seed=1", "seed=2").out
    assert "seed=1" in out
    assert [line.split() for line in out.splitlines() if line.split()[:1] == ["seed"]] == [["seed", "1", "2"]]


def test_what_is_neither_gets_a_message(command, tmp_path):
    (tmp_path / "empty").mkdir()
    assert command("diff", "seed=1").err.startswith("error: diff: name two")
    assert command("diff", "empty", "seed=1").err == "error: 'empty' is no run directory: it has no config.yaml\n"
    assert "there is no 'experiment/mnist_cn'; did you mean 'mnist_cnn'?" in command("diff", "mnist_cn", "seed=1").err
