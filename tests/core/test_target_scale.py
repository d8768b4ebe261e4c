"""Regression targets are standardized only for the loss; everything else is in the units of the data."""

import csv
import json
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.optim import Adam

import trainer
from trainer.callbacks.fast_loop import FastLoop
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.core.target_scale import TargetScale
from trainer.data.base import TensorData
from trainer.data.line import Line
from trainer.data.loading.split import Split
from trainer.data.table import Table
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

ROWS = 200
TABLE = ["data=table", "data.dir=.", "data.path=my.csv", "data.task=regression", "model=linear"]
RUN = [*TABLE, "optimizer.lr=0.1", "trainer.max_epochs=30", "hydra.run.dir=run"]


class Pairs(TensorData):
    """Data with two targets: one in millions, one in thousandths."""

    spec = DataSpec("pairs", "vector", (1,), "regression", output_size=2)

    def load(self):
        x = torch.linspace(-1, 1, 40)[:, None]
        examples = Split(x, torch.cat([4e6 + 1e6 * x, 0.002 - 0.001 * x], dim=1))
        return dict.fromkeys(("train", "val", "test"), examples)


def write_table(directory, offset, slope):
    """Write a table of y = offset + slope * (a - 2 b) with noise; return y."""
    random = np.random.default_rng(0)
    features = random.normal(size=(ROWS, 2)).round(3)
    y = offset + slope * (features @ [1, -2] + 0.3 * random.normal(size=ROWS))
    lines = [f"{a},{b},{value!r}" for (a, b), value in zip(features.tolist(), y.tolist(), strict=True)]
    (directory / "my.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    return y


def r2(predictions, true):
    return 1 - ((true - predictions) ** 2).sum() / ((true - true.mean()) ** 2).sum()


def least_squares_r2(directory):
    """Return R2 on the test split of least squares on the training split."""
    data = Table(dir=str(directory), path="my.csv", task="regression")
    data.setup("fit")
    parts = {
        stage: (data.prepare(split.inputs).double().numpy(), split.targets[:, 0].numpy())
        for stage, split in data.splits.items()
    }
    inputs, targets = parts["train"]
    slope, *_ = np.linalg.lstsq(inputs, targets - targets.mean(), rcond=None)
    inputs, true = parts["test"]
    return r2(inputs @ slope + targets.mean(), true)


def fitted(data, epochs=60, **settings):
    torch.manual_seed(0)
    task = Supervised(Linear(data.spec), make_objective(data.spec), partial(Adam, lr=0.1), constant)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    lightning = pl.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, log_every_n_steps=1, **quiet | settings)
    lightning.fit(task, data)
    return task, lightning


@pytest.mark.slow
@pytest.mark.parametrize(("offset", "slope"), [(450_000, 150_000), (123_456_789, 0.1), (0, 1e-6), (0, 1e140)])
def test_any_units_give_the_fit_of_least_squares_and_metrics_in_these_units(offset, slope, command, tmp_path):
    y = write_table(tmp_path, offset, slope)
    outcome = command(*RUN)
    assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / "run/result.json").read_text())["metrics"]
    assert metrics["test/r2"] == pytest.approx(least_squares_r2(tmp_path), abs=0.01)
    assert 0.01 < metrics["test/loss"] < 0.1  # of standardized targets
    predictions = np.array([prediction.value for prediction in trainer.load("run").predict("my.csv")])
    assert r2(predictions, y) == pytest.approx(metrics["test/r2"], abs=0.02)
    assert metrics["test/mae"] == pytest.approx(np.abs(predictions - y).mean(), rel=0.3)
    assert metrics["test/mae"] < slope < 5 * metrics["test/mae"]


@pytest.mark.slow
def test_test_predict_export_and_resume_have_the_units_of_the_file(command, tmp_path):
    pytest.importorskip("onnxruntime")
    import onnxruntime

    write_table(tmp_path, 450_000, 150_000)
    assert command(*RUN).code == 0
    metrics = json.loads((tmp_path / "run/result.json").read_text())["metrics"]
    assert command("test", "run", "hydra.run.dir=tested").code == 0
    tested = json.loads((tmp_path / "tested/result.json").read_text())["metrics"]
    assert tested["test/rmse"] == metrics["test/rmse"]
    assert tested["test/loss"] == metrics["test/loss"]
    assert command("predict", "run", "my.csv", "--to=predictions.csv").code == 0
    predictions = [
        float(row["value"]) for row in csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines())
    ]
    assert np.mean(predictions) == pytest.approx(450_000, rel=0.1)
    assert command("export", "run", "--to=net.onnx").code == 0
    inputs = torch.tensor([[1.0, -1.0], [0.5, 2.0]])
    [outputs] = onnxruntime.InferenceSession("net.onnx").run(None, {"inputs": inputs.numpy()})
    expected = [prediction.value for prediction in trainer.load("run").predict(inputs)]
    assert outputs[:, 0].tolist() == pytest.approx(expected, rel=1e-6)
    assert command("resume", "run", "trainer.max_epochs=31").code == 0
    resumed = json.loads((tmp_path / "run/result.json").read_text())["metrics"]
    assert resumed["test/rmse"] == pytest.approx(metrics["test/rmse"], rel=0.05)


def test_a_network_keeps_the_scale_of_its_training_file_on_another_file(command, tmp_path):
    write_table(tmp_path, 450_000, 150_000)
    assert command(*RUN).code == 0
    (tmp_path / "other.csv").write_text("a,b,y\n" + "".join(f"{n / 9 - 1},0.0,{150_000 * n}\n" for n in range(20)))
    assert command("test", "run", "data.path=other.csv", "hydra.run.dir=tested").code == 0
    saved = torch.load("run/checkpoints/best.ckpt", weights_only=True)["target_scale"]
    assert saved["mean"] == pytest.approx([450_000], rel=0.1)
    metrics = json.loads((tmp_path / "tested/result.json").read_text())["metrics"]
    other = Table(path="other.csv", dir=".", columns={"b": "number"}, task="regression")
    model = trainer.load("run")
    other.setup("test")
    inputs, targets = other.splits["test"]
    predictions = [
        prediction.value for prediction in model.predict(model.preprocessing.prepare(inputs))
    ]  # as `trainer predict` does
    assert metrics["test/rmse"] == pytest.approx(np.sqrt(np.mean((predictions - targets[:, 0].numpy()) ** 2)), rel=1e-6)
    rmse_in_std = metrics["test/rmse"] / saved["std"][0]
    assert metrics["test/loss"] == pytest.approx(rmse_in_std**2, rel=1e-5)


def test_each_output_has_its_own_scale():
    data = Pairs(batch_size=8)
    task, lightning = fitted(data)
    numbers = {name: value.item() for name, value in lightning.callback_metrics.items()}
    assert numbers["val/r2"] > 0.999  # the mean of both outputs
    outputs = task(torch.tensor([[0.0]])).detach()
    assert outputs[0].tolist() == pytest.approx([4e6, 0.002], rel=0.02)


def test_callbacks_and_tasks_see_outputs_in_the_units_of_the_targets():
    errors = []

    class Notes(pl.Callback):
        def on_validation_batch_end(self, trainer, task, outputs, batch, *_):
            errors.append((outputs - batch[1]).abs().amax(0).tolist())

    fitted(Pairs(batch_size=8), callbacks=[Notes(), FastLoop()])
    assert errors[-1][0] < 1e5
    assert errors[-1][1] < 1e-4


def test_a_data_set_can_disable_standardization():
    class Own(Pairs):
        standardize_target = False

    task, _ = fitted(Own(batch_size=8), epochs=1)
    assert Own(batch_size=8).target_scale is None
    assert task.objective.target_scale is None
    task, _ = fitted(Line(noise=0.0), epochs=100)
    assert task.net.layer.weight.item() == pytest.approx(2, abs=0.05)  # the slope itself


def test_the_scale_of_the_training_targets_is_restored_from_a_checkpoint_without_rounding():
    scale = TargetScale.of(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert scale.state() == {"mean": [2.0, 5.0], "std": [1.0, 1.0]}  # a constant target keeps its unit
    assert scale.standardize(torch.tensor([[3.0, 6.0]])).tolist() == [[1.0, 1.0]]
    assert scale.unstandardize(torch.tensor([[1.0, -1.0]])).tolist() == [[3.0, 4.0]]
    far = TargetScale.of(torch.tensor([[123456789.1], [123456789.3]], dtype=torch.float64))
    assert far.state()["std"] == pytest.approx([0.1], rel=1e-6)
    assert TargetScale.from_state(far.state()).state() == far.state()
    tenths = TargetScale.of(torch.full((30, 1), 0.1, dtype=torch.float64))
    assert tenths.state()["std"] == [1.0]  # and not the rounding of the mean
    assert TargetScale.of(torch.tensor([[1e300], [-1e300]], dtype=torch.float64)).state() == {
        "mean": [0.0],
        "std": [1e300],
    }


def test_regression_losses_use_standardized_units():
    spec = DataSpec("pairs", "vector", (1,), "regression", output_size=2)
    outputs, targets = torch.tensor([[12.0, 0.5]]), torch.tensor([[10.0, 0.2]])
    for loss, expected in (("mse", (4 + 9) / 2), ("l1", (2 + 3) / 2), ("huber", (1.5 + 2.5) / 2)):
        objective = make_objective(spec, loss=loss)
        objective.target_scale = TargetScale(torch.tensor([7.0, 0.0]), torch.tensor([1.0, 0.1]))
        assert objective.loss(outputs, targets).item() == pytest.approx(expected, rel=1e-5)


def test_outputs_and_targets_of_different_shapes_are_refused_and_not_broadcast():
    objective = make_objective(DataSpec("one", "vector", (1,), "regression", output_size=1))
    with pytest.raises(UserError, match=r"model\.net: outputs of shape \(4,\); data 'one' expects \(4, 1\)"):
        objective.loss(torch.zeros(4), torch.zeros(4, 1))


def test_a_precision_that_cannot_hold_the_targets_is_refused(command, tmp_path):
    write_table(tmp_path, 123_456_789, 0.1)
    refused = command(*RUN, "trainer.precision=bf16-true")
    assert refused.code == 1
    assert "error: trainer.precision: torch.bfloat16 has too few digits for targets of mean 1.23457e+08" in refused.err


@pytest.mark.parametrize(("value", "shown"), [(torch.nan, "[nan]"), (torch.inf, "[inf]")])
def test_nonfinite_targets_are_refused(value, shown):
    class Broken(Line):
        def load(self):
            splits = super().load()
            splits["train"].targets[3] = value
            return splits

    with pytest.raises(UserError, match=f"the target of example 3 is {shown.replace('[', '.').replace(']', '.')}"):
        Broken().setup("fit")
