"""Runs with sweeps, debug configs, precision, gradient accumulation and early stopping."""

import csv
import json

import pytest
import torch

QUICK = ["trainer.max_epochs=2", "trainer.log_every_n_steps=5"]


def test_a_sweep_runs_every_combination_and_continues_after_a_failed_job(command, tmp_path):
    rows = "".join(f"{number},{number % 2}\n" for number in range(20))
    (tmp_path / "good.csv").write_text("x,y\n" + rows)
    (tmp_path / "bad.csv").write_text("x,y\n" + rows + "text,1\n")
    table = ["data=table", "data.dir=.", "data.path=good.csv,bad.csv"]
    outcome = command("-m", *table, "trainer.max_epochs=1", "model.net.hidden=[4],[8]")
    assert outcome.code == 1
    assert "bad.csv, line 22, column 'x' has 'text'" in outcome.err
    states = {}
    for run in outcome.runs:
        result = json.loads((run / "result.json").read_text())
        states[run.name] = result["state"]
    assert states == {"0": "finished", "1": "finished", "2": "failed", "3": "failed"}
    [sweep] = {run.parent for run in outcome.runs}
    assert (sweep / "multirun.yaml").is_file()


def test_a_run_returns_the_optimized_metric(command, tmp_path, monkeypatch):
    import trainer.training.run

    returned = []
    original = trainer.training.run.run
    monkeypatch.setattr(trainer.training.run, "run", lambda config: returned.append(original(config)))
    outcome = command("data=xor", "trainer.max_epochs=1", "optimized_metric=val/loss")
    [run] = outcome.runs
    assert returned == [json.loads((run / "result.json").read_text())["metrics"]["val/loss"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choice", "steps"),
    [("fdr", 1), ("limit", 3 * 10), ("overfit", 20 * 3), ("profiler", 20), ("default", 20)],
)
def test_each_debug_config_runs(choice, steps, command):
    outcome = command(f"debug={choice}", "data.batch_size=64")
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    assert run.parent.name == "debug"
    assert json.loads((run / "result.json").read_text())["steps"] == steps


@pytest.mark.slow
@pytest.mark.parametrize("override", ["trainer.precision=bf16-mixed", "trainer.precision=64-true", "trainer=cpu"])
def test_each_precision_and_device_trains(override, command):
    outcome = command("data=digits", override, *QUICK)
    assert outcome.code == 0, outcome.err


@pytest.mark.slow
def test_metrics_of_a_regression_with_16_bits_have_the_precision_of_32(command):
    outcome = command("data=line", "model=linear", "trainer.precision=bf16-true", *QUICK)
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    rmse = json.loads((run / "result.json").read_text())["metrics"]["test/rmse"]
    assert rmse != torch.tensor(rmse).bfloat16().item()


def test_accumulation_reduces_the_number_of_steps(command):
    outcome = command("trainer.accumulate_grad_batches=4", *QUICK)
    [run] = outcome.runs
    assert json.loads((run / "result.json").read_text())["steps"] == 2 * 5


def test_early_stopping_ends_the_training(command):
    outcome = command(
        "callbacks=[default,early_stopping]",
        "callbacks.early_stopping.patience=2",
        "callbacks.early_stopping.min_delta=1000",
        "trainer.max_epochs=50",
    )
    [run] = outcome.runs
    assert json.loads((run / "result.json").read_text())["epochs"] == 3


def test_without_callbacks_there_is_no_progress_bar_and_no_checkpoint(command):
    outcome = command("data=xor", "callbacks=none", "trainer.max_epochs=2")
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    assert not list(run.rglob("*.ckpt"))
    assert "epoch 1" not in outcome.out + outcome.err
    assert outcome.err == ""


def test_the_profiler_prints_its_profile(command):
    outcome = command("data=xor", "debug=profiler")
    assert "run_training_epoch" in outcome.out
    assert "💡" not in outcome.out


def test_the_best_value_of_the_monitored_metric_is_in_the_result(command):
    outcome = command(
        "model=cnn",
        "callbacks.checkpoint.monitor=val/accuracy",
        "callbacks.checkpoint.mode=max",
        "optimized_metric=val/accuracy_best",
        "trainer.max_epochs=3",
    )
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    rows = csv.DictReader((run / "metrics.csv").read_text().splitlines())
    values = [float(row["val/accuracy"]) for row in rows if row["val/accuracy"]]
    assert json.loads((run / "result.json").read_text())["metrics"]["val/accuracy_best"] == pytest.approx(max(values))


def test_a_checkpoint_of_another_network_is_refused_with_a_message(command):
    [run] = command("data=xor", "trainer.max_epochs=1").runs
    outcome = command("data=xor", "model.net.hidden=[3]", "train=false", f"ckpt_path={run}/checkpoints/last.ckpt")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "ckpt_path: the checkpoint does not match the network" in outcome.err
    assert "size mismatch for net.layers.0.weight" in outcome.err


def test_a_diverged_run_writes_valid_json(command):
    overrides = ["data=line", "model=linear", "optimizer=sgd", "optimizer.lr=1e30", "trainer.max_epochs=5"]
    outcome = command(*overrides, "~callbacks.finite_loss")
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    text = (run / "result.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["metrics"]["val/loss"] is None


@pytest.mark.slow
def test_a_compiled_network_reaches_the_same_loss(command):
    losses = []
    for name in ("false", "true"):
        overrides = [f"compile={name}", f"hydra.run.dir=compile_{name}"]
        outcome = command("data=digits", "model=cnn", "trainer.max_epochs=1", *overrides)
        assert outcome.code == 0, outcome.err
        losses.append(
            json.loads((outcome.directory / f"compile_{name}" / "result.json").read_text())["metrics"]["val/loss"]
        )
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_the_network_is_compiled_only_with_the_option(command, monkeypatch):
    compiled = []
    monkeypatch.setattr("torch.nn.Module.compile", lambda net: compiled.append(type(net).__name__))
    for override in ("compile=false", "compile=true"):
        assert command("data=xor", "trainer.max_epochs=1", override).code == 0
    assert compiled == ["MLP"]
