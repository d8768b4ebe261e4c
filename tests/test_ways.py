"""Ways to run: sweeps, debugging, precision, accumulation, early stopping."""

import json

import pytest

QUICK = ["trainer.max_epochs=2", "trainer.log_every_n_steps=5"]


def test_a_sweep_runs_every_combination_and_outlives_a_failing_job(command):
    outcome = command("-m", "data=xor", "trainer.max_epochs=1", "model.net.hidden=[4],[8]", "optimizer.lr=0.1,-1")
    assert outcome.code == 1
    assert "optimizer: " in outcome.err
    states = {}
    for run in outcome.runs:
        result = json.loads((run / "result.json").read_text())
        states[run.name] = result["state"]
    assert states == {"0": "finished", "1": "failed", "2": "finished", "3": "failed"}
    [sweep] = {run.parent for run in outcome.runs}
    assert (sweep / "multirun.yaml").is_file()


def test_a_searching_sweep_gets_the_metric_it_asks_for(command, tmp_path, monkeypatch):
    import trainer.run

    returned = []
    original = trainer.run.run
    monkeypatch.setattr(trainer.run, "run", lambda config: returned.append(original(config)))
    outcome = command("data=xor", "trainer.max_epochs=1", "optimized_metric=val/loss")
    [run] = outcome.runs
    assert returned == [json.loads((run / "result.json").read_text())["metrics"]["val/loss"]]


@pytest.mark.parametrize(
    ("choice", "steps"),
    [("fdr", 1), ("limit", 3 * 10), ("overfit", 20 * 3), ("profiler", 20), ("default", 20)],
)
def test_each_debug_choice_runs(choice, steps, command):
    outcome = command(f"debug={choice}", "data.batch_size=64")
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    assert run.parent.name == "debug"
    assert json.loads((run / "result.json").read_text())["steps"] == steps


@pytest.mark.parametrize("option", ["trainer.precision=bf16-mixed", "trainer.precision=64-true", "trainer=cpu"])
def test_each_way_of_running_trains(option, command):
    outcome = command("data=digits", option, *QUICK)
    assert outcome.code == 0, outcome.err


def test_accumulation_makes_fewer_steps(command):
    outcome = command("trainer.accumulate_grad_batches=4", *QUICK)
    [run] = outcome.runs
    assert json.loads((run / "result.json").read_text())["steps"] == 2 * 5


def test_early_stopping_stops(command):
    outcome = command(
        "callbacks=[default,early_stopping]",
        "callbacks.early_stopping.patience=2",
        "callbacks.early_stopping.min_delta=1000",
        "trainer.max_epochs=50",
    )
    [run] = outcome.runs
    assert json.loads((run / "result.json").read_text())["epochs"] == 3
