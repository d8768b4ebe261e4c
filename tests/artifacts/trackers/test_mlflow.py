"""Runs of MLflow in a local database."""

import pytest

from trainer.artifacts.trackers.base import TrackerRun

# MLflow 3.17 uses an option that SQLAlchemy 2.1 has deprecated
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")]


def test_a_sweep_stores_a_run_for_each_job_and_a_resumed_job_continues_its_run(run_sweep, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    directory = run_sweep("logger=[csv,mlflow]")
    client = mlflow.MlflowClient(f"sqlite:///{directory}/outputs/mlflow.db")
    experiment = client.get_experiment_by_name("trainer")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert [*sorted(runs)] == [f"{directory.name}/s/{job}" for job in (0, 1)]
    for job, (lr, steps) in enumerate([("0.1", [9, 19, 29, 39]), ("0.01", [9, 19])]):
        run = runs[f"{directory.name}/s/{job}"]
        run_id = run.info.run_id
        assert TrackerRun(directory / f"s/{job}", "mlflow").id == run_id
        assert run.info.status == "FINISHED"
        assert run.data.tags["sweep"] == f"{directory.name}/s"
        assert run.data.params["hparams.optimizer.lr"] == run.data.params["optimizer.lr"] == lr
        assert [metric.step for metric in client.get_metric_history(run_id, "train/loss")] == steps
        assert {"test/accuracy", "val/loss_best"} <= run.data.metrics.keys()
        images = [artifact.path for artifact in client.list_artifacts(run_id, "images")]
        assert any("test~predictions" in path and path.endswith(".png") for path in images)
        tables = [artifact.path for artifact in client.list_artifacts(run_id, "test/classification_report")]
        assert tables == [f"test/classification_report/step_{step + 1:08}.json" for step in steps[1::2]]


def test_jobs_in_parallel_create_the_database_and_the_experiment_once(process, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = process("-m", "data=xor", "trainer.max_epochs=1", "logger=mlflow", "seed=1,2", "sweep.workers=2")
    assert done.code == 0, done.err
    client = mlflow.MlflowClient(f"sqlite:///{done.directory}/outputs/mlflow.db")
    assert len(client.search_runs([client.get_experiment_by_name("trainer").experiment_id])) == 2


def test_without_a_server_the_error_names_a_local_database(process):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    environment = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = process("data=xor", "logger=mlflow", **environment)
    assert done.code == 1
    assert "logger=mlflow: cannot start a run: API request to http://127.0.0.1:9" in done.err
    assert "logger.mlflow.tracking_uri=sqlite:///mlflow.db" in done.err
    assert "Traceback" not in done.err
