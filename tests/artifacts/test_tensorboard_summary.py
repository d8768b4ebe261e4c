"""TensorBoard files of a run, read with TensorBoard, and its hyperparameters."""

import json

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata

from trainer.artifacts.hparams import collect_hparams, find_differing_overrides
from trainer.artifacts.run_record import RunRecord
from trainer.core.metric_name import make_tensorboard_tag


def board_of(run):
    board = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
    board.Reload()
    return board


def session_of(board):
    content = board.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    return dict(metadata.parse_session_start_info_plugin_data(content).hparams)


def test_the_events_of_a_run_contain_hyperparameters_results_charts_and_config(command):
    outcome = command("data=digits", "trainer.max_epochs=2", "optimizer.lr=0.01", "logger.csv.name=''")
    assert outcome.code == 0, outcome.err
    run = outcome.runs[0]
    board = board_of(run)
    for tag in board.Tags()["scalars"]:
        steps = [event.step for event in board.Scalars(tag)]
        assert steps == sorted(steps), tag
    assert {"test/confusion_matrix", "test/predictions"} <= {*board.Tags()["images"]}

    hparams = session_of(board)
    assert {*hparams} == {"data", "optimizer.lr", "trainer.max_epochs"}  # loggers are ignored
    assert (hparams["data"].string_value, hparams["optimizer.lr"].number_value) == ("digits", 0.01)
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    for name in ("val/loss", "val/loss_best", "test/accuracy"):
        assert board.Scalars(make_tensorboard_tag(name))[-1].value == pytest.approx(metrics[name])
    with pytest.raises(KeyError):  # it would hide the keys of later runs
        board.SummaryMetadata(metadata.EXPERIMENT_TAG)

    layout = layout_pb2.Layout.FromString(board.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = {chart.title: [*chart.multiline.tag] for chart in layout.category[0].chart}
    assert charts == {"loss": ["loss/train$", "loss/val$"], "accuracy": ["accuracy/val$", "accuracy/train$"]}
    assert b"lr: 0.01" in board.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


@pytest.mark.slow
def test_tags_of_lightnings_own_logger_are_the_names(command):
    logger = "logger.tensorboard._target_=pytorch_lightning.loggers.TensorBoardLogger"
    outcome = command("data=digits", "trainer.max_epochs=1", logger)
    assert outcome.code == 0, outcome.err
    board = board_of(outcome.runs[0])
    assert {"train/loss", "val/loss", "val/loss_best", "val/accuracy"} <= {*board.Tags()["scalars"]}
    layout = layout_pb2.Layout.FromString(board.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = {chart.title: [*chart.multiline.tag] for chart in layout.category[0].chart}
    assert charts["loss"] == ["train/loss$", "val/loss$"]


@pytest.fixture
def record(tmp_path):
    """Return a function that creates the record of a job."""

    def write(overrides, sweep=None, config=None):
        run = tmp_path / "sweep/0"
        run.mkdir(parents=True, exist_ok=True)
        defaults = {"seed": 3, "data": {"_target_": "x", "dir": "d"}, "model": {"net": {"hidden": [8]}}, "outputs": "o"}
        (run / "config.yaml").write_text(yaml.safe_dump(defaults | (config or {})))
        (run / "provenance.json").write_text(json.dumps({"overrides": overrides}))
        if sweep:
            (run.parent / "multirun.yaml").write_text(yaml.safe_dump({"hydra": sweep}))
        return RunRecord(run)

    return write


def test_hyperparameters_of_a_job_are_the_swept_keys(record):
    overrides = ["data=digits", "model.net.hidden=[8]", "seed=3"]
    sweep = {"overrides": {"task": ["data=digits", "model.net.hidden=[4],[8]", "seed=range(1,5)"]}}
    assert collect_hparams(record(overrides, sweep)) == {"model.net.hidden": "[8]", "seed": 3}
    sweep = {"overrides": {"task": ["data=digits"]}, "sweeper": {"params": {"seed": "1,3"}}}
    assert collect_hparams(record(overrides, sweep)) == {"seed": 3}


def test_hyperparameters_of_a_single_run_are_its_overrides_or_the_seed(record):
    assert collect_hparams(
        record(["data=digits", "~optimizer.betas", "data.dir=d", "outputs=o", "+trainer.x=null"])
    ) == {
        "data": "digits",
        "optimizer.betas": "left out",
        "trainer.x": "null",
    }
    assert collect_hparams(record(["outputs=o"])) == {"seed": 3}
    assert collect_hparams(record(["what hydra ( cannot read"])) == {"seed": 3}


def test_differing_overrides(record, tmp_path):
    first = record(["data=xor", "seed=1"])
    assert find_differing_overrides([first]) == ["data=xor seed=1"]
    other = RunRecord(tmp_path / "missing")
    assert find_differing_overrides([first, first]) == ["", ""]
    assert find_differing_overrides([first, other]) == ["data=xor seed=1", ""]
