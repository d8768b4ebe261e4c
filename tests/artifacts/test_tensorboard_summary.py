"""TensorBoard right by default, read back by TensorBoard's own reader; what was varied, by name."""

import json

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata

from trainer.artifacts.hparams import changed_words, settings, told_metrics
from trainer.artifacts.run_record import Record


def board_of(run):
    board = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
    board.Reload()
    return board


def session_of(board):
    content = board.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    return dict(metadata.parse_session_start_info_plugin_data(content).hparams)


def test_a_run_tells_tensorboard_its_settings_results_charts_and_config_and_no_curve_goes_back(command):
    outcome = command("data=digits", "trainer.max_epochs=2", "optimizer.lr=0.01", "logger.csv.name=''")
    assert outcome.code == 0, outcome.err
    run = outcome.runs[0]
    board = board_of(run)
    for tag in board.Tags()["scalars"]:
        steps = [event.step for event in board.Scalars(tag)]
        assert steps == sorted(steps), tag
    assert {"test/confusion", "test/predictions"} <= {*board.Tags()["images"]}

    told = session_of(board)
    assert {*told} == {"data", "optimizer.lr", "trainer.max_epochs"}  # a logger has no part in the numbers
    assert (told["data"].string_value, told["optimizer.lr"].number_value) == ("digits", 0.01)
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    for name in ("val/loss", "val/loss_best", "test/accuracy"):
        assert board.Scalars(name)[-1].value == pytest.approx(metrics[name])
    with pytest.raises(KeyError):  # of the first run alone, it would hide the keys of later ones
        board.SummaryMetadata(metadata.EXPERIMENT_TAG)

    layout = layout_pb2.Layout.FromString(board.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = {chart.title: [*chart.multiline.tag] for chart in layout.category[0].chart}
    assert charts == {"loss": ["train/loss$", "val/loss$"], "accuracy": ["val/accuracy$"]}
    assert b"lr: 0.01" in board.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


@pytest.fixture
def record(tmp_path):
    """A job of a sweep over the rate, with a group and a deletion besides."""

    def write(overrides, sweep=None, config=None):
        run = tmp_path / "sweep/0"
        run.mkdir(parents=True, exist_ok=True)
        held = {"seed": 3, "data": {"_target_": "x", "dir": "d"}, "model": {"net": {"hidden": [8]}}, "outputs": "o"}
        (run / "config.yaml").write_text(yaml.safe_dump(held | (config or {})))
        (run / "provenance.json").write_text(json.dumps({"overrides": overrides}))
        if sweep:
            (run.parent / "multirun.yaml").write_text(yaml.safe_dump({"hydra": sweep}))
        return Record(run)

    return write


def test_a_sweeps_job_tells_what_the_sweep_varied(record):
    words = ["data=digits", "model.net.hidden=[8]", "seed=3"]
    sweep = {"overrides": {"task": ["data=digits", "model.net.hidden=[4],[8]", "seed=range(1,5)"]}}
    assert settings(record(words, sweep)) == {"model.net.hidden": "[8]", "seed": 3}
    sweep = {"overrides": {"task": ["data=digits"]}, "sweeper": {"params": {"seed": "1,3"}}}
    assert settings(record(words, sweep)) == {"seed": 3}


def test_a_single_run_tells_what_was_overridden_and_else_its_seed(record):
    assert settings(record(["data=digits", "~optimizer.betas", "data.dir=d", "outputs=o", "+trainer.x=null"])) == {
        "data": "digits",
        "optimizer.betas": "left out",
        "trainer.x": "null",
    }
    assert settings(record(["outputs=o"])) == {"seed": 3}
    assert settings(record(["what hydra ( cannot read"])) == {"seed": 3}


def test_changed_words_and_the_metrics_that_runs_are_compared_by(record, tmp_path):
    first = record(["data=xor", "seed=1"])
    assert changed_words([first]) == ["data=xor seed=1"]
    other = Record(tmp_path / "nowhere")
    assert changed_words([first, first]) == ["", ""]
    assert changed_words([first, other]) == ["data=xor seed=1", ""]
    names = ["train/loss", "lr", "val/loss", "val/loss_best", "test/accuracy", "test/accuracy/cat"]
    assert told_metrics(names) == ["val/loss", "val/loss_best", "test/accuracy"]
