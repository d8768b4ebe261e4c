"""A run, from the command to its output files."""

import csv
import json
import math
import re

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

QUICK = ["trainer.max_epochs=2", "trainer.log_every_n_steps=5"]


@pytest.fixture
def digits(command):
    """Return a short run of a CNN on the digits, which logs images."""
    outcome = command("model=cnn", *QUICK)
    assert outcome.code == 0, outcome.err
    return outcome


def load_weights(run, name="last"):
    return torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]


def test_a_run_writes_all_files_needed_to_verify_it(digits):
    [run] = digits.runs
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{6}", run.name)
    assert run.parent == digits.directory / "outputs/digits_cnn"
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert files >= {
        "config.yaml",
        "result.json",
        "provenance.json",
        "metrics.csv",
        "test_predictions.npz",
        "trainer.log",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        ".hydra/config.yaml",
        ".hydra/overrides.yaml",
    }
    assert [path for path in files if path.startswith("tensorboard/events.out.tfevents")]

    result = json.loads((run / "result.json").read_text())
    assert result["state"] == "finished"
    assert result["steps"] == 2 * math.ceil((1797 - 180 - 360) / 64)
    assert result["epochs"] == 2
    assert result["seed"] == 1
    assert result["metrics"].keys() >= {
        "train/loss",
        "val/loss",
        "val/accuracy",
        "test/loss",
        "test/accuracy",
    }
    assert 0.5 < result["metrics"]["test/accuracy"] <= 1
    assert result["seconds"] > 0
    assert re.fullmatch(r"[0-9a-f]{16}", result["fingerprint"])
    assert re.fullmatch(r"[0-9a-f]{64}", result["data_sha256"])

    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["command"] == "trainer model=cnn " + " ".join(QUICK)
    assert provenance["overrides"] == ["model=cnn", *QUICK]
    assert provenance["packages"]["torch"] == torch.__version__.split("+")[0]
    assert provenance["machine"]["cores"] >= 1


def test_the_output_names_the_results_and_the_command_for_tensorboard(digits):
    [run] = digits.runs
    name = run.relative_to(digits.directory)
    assert f"run    {name}" in digits.out
    assert f"results      {name}/result.json" in digits.out
    assert re.search(rf"view logs    \S*trainer tensorboard {name}\n", digits.out)
    assert re.search(r"accuracy .*│ 0\.\d{4} │ 0\.\d{4} │", digits.out)


def test_the_output_contains_no_irrelevant_messages(digits):
    assert digits.err == ""
    for noise in ("💡", "LeafSpec", "GPU available", "smaller than the logging interval"):
        assert noise not in digits.out


def test_tensorboard_has_the_scalars_the_learning_rate_and_the_images(digits):
    [run] = digits.runs
    names: set[str] = set()
    images: set[str] = set()
    for file in (run / "tensorboard").glob("events*"):
        events = EventAccumulator(str(file)).Reload()
        names |= set(events.Tags()["scalars"])
        images |= set(events.Tags()["images"])
    stages = {f"{metric}/{stage}" for metric in ("loss", "accuracy") for stage in ("train", "val", "test")}
    assert names >= {*stages, "other/lr", "other/epoch"}
    assert images >= {"val/predictions", "test/predictions", "test/worst_predictions"}


def test_metrics_csv_contains_all_logged_values(digits):
    [run] = digits.runs
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    losses = [row for row in rows if row["train/loss"]]
    assert [int(row["step"]) for row in losses] == list(range(4, 40, 5))
    assert len([row for row in rows if row["val/accuracy"]]) == 2
    result = json.loads((run / "result.json").read_text())
    assert float(rows[-1]["test/accuracy"]) == pytest.approx(result["metrics"]["test/accuracy"])


def test_checkpoints_load_with_weights_only_and_contain_their_config(digits):
    [run] = digits.runs
    checkpoint = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert checkpoint["config"]["model"]["net"]["channels"] == [32, 64]
    assert checkpoint["config"]["seed"] == 1
    assert checkpoint["state_dict"]["net.blocks.0.weight"].shape == (32, 1, 3, 3)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(command):
    for seed in (1, 1, 2):
        outcome = command(
            "model=cnn",
            "data.augmentation=[{affine:{shift_pixels:1}}]",
            "model.net.dropout=0.3",
            f"seed={seed}",
            *QUICK,
        )
        assert outcome.code == 0, outcome.err
    first, second, other = (load_weights(run) for run in outcome.runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    fingerprints = [json.loads((run / "result.json").read_text())["fingerprint"] for run in outcome.runs]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_two_runs_that_start_at_the_same_time_have_different_directories(command, monkeypatch):
    import hydra.core.utils

    class FixedTime(hydra.core.utils.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, 12, 0, 0)

    monkeypatch.setattr(hydra.core.utils, "datetime", FixedTime)
    for _ in range(2):
        assert command("data=xor", "trainer.max_epochs=1").code == 0
    names = [run.name for run in command("--version").runs]
    assert len(set(names)) == 2


def test_the_directory_of_another_run_is_not_changed(command):
    overrides = ["data=xor", "trainer.max_epochs=1", "hydra.run.dir=mine"]
    first = command(*overrides)
    assert first.code == 0, first.err
    content = {path: path.read_bytes() for path in (first.directory / "mine").rglob("*") if path.is_file()}
    second = command(*overrides)
    assert second.code == 1
    assert "hydra.run.dir: 'mine' is not empty" in second.err
    assert content == {path: path.read_bytes() for path in (first.directory / "mine").rglob("*") if path.is_file()}


def test_the_best_checkpoint_is_tested(command):
    # the loss diverges with this learning rate, so the last epoch is not the best one
    outcome = command("data=line", "model=linear", "optimizer=sgd", "optimizer.lr=1.2", "trainer.max_epochs=12")
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    rows = [row for row in csv.DictReader((run / "metrics.csv").read_text().splitlines()) if row["val/loss"]]
    losses = [float(row["val/loss"]) for row in rows]
    assert losses[-1] > 10 * min(losses)
    assert json.loads((run / "result.json").read_text())["metrics"]["test/loss"] < 10 * min(losses)


def test_the_checkpoint_of_a_finished_run_can_be_tested(digits, command):
    [run] = digits.runs
    outcome = command("model=cnn", "train=false", f"ckpt_path={run}/checkpoints/best.ckpt")
    assert outcome.code == 0, outcome.err
    first, second = (json.loads((run / "result.json").read_text())["metrics"] for run in outcome.runs)
    assert second["test/accuracy"] == first["test/accuracy"]


@pytest.mark.parametrize("schedule", ["step", "onecycle"])
def test_training_from_a_checkpoint_equals_uninterrupted_training(schedule, command):
    overrides = [
        f"scheduler={schedule}",
        "data.augmentation=[{affine:{shift_pixels:1}}]",
        "model=cnn",
        "trainer.max_epochs=4",
    ]
    save_all = ["callbacks.checkpoint.save_top_k=-1", "callbacks.checkpoint.filename='{epoch}'"]
    [uninterrupted] = command(*overrides, *save_all).runs
    resumed = command(*overrides, f"ckpt_path='{uninterrupted}/checkpoints/epoch=1.ckpt'")
    assert resumed.code == 0, resumed.err
    a, b = load_weights(uninterrupted), load_weights(resumed.runs[-1])
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_result_of_a_failed_run_has_its_error(command, tmp_path):
    (tmp_path / "failing.py").write_text(
        "from pytorch_lightning import Callback\n"
        "class Fail(Callback):\n"
        "    def on_train_epoch_end(self, trainer, module):\n"
        "        raise ValueError('no more data')\n"
    )
    outcome = command("data=xor", "+callbacks.fail._target_=failing.Fail")
    assert outcome.code == 1
    [run] = outcome.runs
    result = json.loads((run / "result.json").read_text())
    assert (result["state"], result["error"]) == ("failed", "ValueError: no more data")


def test_a_rejected_run_leaves_no_directory(command, tmp_path):
    for arguments in (["objective.loss=mse"], ["objective.loss=mse", "hydra.run.dir=run"]):
        outcome = command(*arguments)
        assert outcome.code == 1
        assert "'mse' does not fit" in outcome.err
        assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    assert not (tmp_path / "run").exists()


def test_the_result_of_an_interrupted_run_has_its_state(command, tmp_path):
    (tmp_path / "interrupts.py").write_text(
        "from pytorch_lightning import Callback\n"
        "class Interrupt(Callback):\n"
        "    def on_train_epoch_end(self, trainer, pl_module):\n"
        "        raise KeyboardInterrupt\n"
    )
    outcome = command("data=xor", "+callbacks.interrupt._target_=interrupts.Interrupt")
    assert outcome.code != 0
    [run] = outcome.runs
    assert json.loads((run / "result.json").read_text())["state"] == "interrupted"
