"""Offline experiments of Comet."""

import json
import zipfile

import pytest

from trainer.artifacts.trackers.base import TrackerRun

pytestmark = pytest.mark.slow


def read_messages(archive):
    """Return type and content of the messages in an archive."""
    with zipfile.ZipFile(archive) as file:
        messages = [json.loads(line) for line in file.read("messages.json").splitlines()]
    return [(message["type"], message["payload"]) for message in messages]


def test_a_sweep_stores_an_experiment_for_each_job_and_a_resumed_job_continues_it(run_sweep):
    pytest.importorskip("comet_ml", reason="comet-ml is not installed")
    directory = run_sweep("logger=[csv,comet]", "logger.comet.online=false")
    for job, (lr, count) in enumerate([(0.1, 2), (0.01, 1)]):
        archives = [*directory.glob(f"s/{job}/comet/*.zip")]
        key = TrackerRun(directory / f"s/{job}", "comet").id
        assert [archive.name.partition("-")[0] for archive in archives] == [key] * count
        messages = [message for archive in archives for message in read_messages(archive)]
        metrics = [content["metric"] for kind, content in messages if kind == "metric_msg"]
        losses = [metric["step"] for metric in metrics if metric["metricName"] == "train/loss"]
        assert sorted(losses) == [9, 19, 29, 39][: 2 * count]
        assert {"test/accuracy", "val/loss_best"} <= {metric["metricName"] for metric in metrics}
        params = [content["param"] for kind, content in messages if kind == "parameter_msg" and "param" in content]
        assert {"paramName": "hparams|optimizer.lr", "paramValue": lr, "source": "manual", "step": None} in params
        uploads = [content["additional_params"] for kind, content in messages if kind == "file_upload"]
        assert "test/predictions" in [upload.get("figName") for upload in uploads]
        assert "test_classification_report_step_00000020.csv" in [upload.get("fileName") for upload in uploads]
