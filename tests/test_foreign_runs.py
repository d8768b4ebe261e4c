"""Runs of a LightningModule and a data module that do not know this package: stopped, resumed, replayed, predicted."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

LOADERS = Path(__file__).parent / "external_project/src/external_project/loaders.py"
RUN = ["data=points", "model=points", "seed=1", "trainer.log_every_n_steps=1"]
STOP = '''
import os, signal
from pathlib import Path
from pytorch_lightning import Callback


class Stop(Callback):
    """Sends a signal to the process after a step, once."""

    def __init__(self, step, signal):
        self.step = step
        self.signal = signal

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step and not Path("stopped").exists():
            Path("stopped").touch()
            os.kill(os.getpid(), self.signal)
'''


@pytest.fixture
def project(tmp_path):
    """Write a project of two modules outside of git."""
    shutil.copy(LOADERS, tmp_path / "loaders.py")
    (tmp_path / "stop.py").write_text(STOP)
    for group, name in (("data", "Loaders"), ("model", "Classifier")):
        (tmp_path / f"conf/{group}").mkdir(parents=True)
        (tmp_path / f"conf/{group}/points.yaml").write_text(f"_target_: loaders.{name}\n")
    return tmp_path


def read_weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def is_equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first) and first.keys() == second.keys()


def read_metrics(run):
    return (run / "metrics.csv").read_text()


STOPS = {"SIGTERM": 15, "SIGKILL": 9}


@pytest.mark.parametrize(
    ("signal", "workers", "model"),
    [
        pytest.param("SIGKILL", 2, "Classifier", marks=pytest.mark.slow),
        pytest.param("SIGTERM", 0, "Accumulating", marks=pytest.mark.slow),  # after the first batch of two
        pytest.param("SIGKILL", 0, "Classifier", marks=pytest.mark.slow),
        pytest.param("SIGTERM", 0, "Classifier", marks=pytest.mark.slow),
        pytest.param("SIGTERM", 2, "Classifier", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_is_resumed_with_equal_weights_and_curves(signal, workers, model, project, process):
    options = [*RUN, "trainer.max_epochs=2", f"+data.num_workers={workers}", "callbacks.checkpoint.every_minutes=1e-9"]
    options.append(f"model._target_=loaders.{model}")
    step = 3 if model == "Accumulating" else 11
    stop = [f"+callbacks.stop={{_target_:stop.Stop,step:%d,signal:{STOPS[signal]}}}"]
    reference = process(*options, stop[0] % -1, "hydra.run.dir=reference")
    assert reference.code == 0, reference.err
    stopped = process(*options, stop[0] % step, "hydra.run.dir=run")
    assert stopped.code in (-9, 143), stopped.err
    resumed = process("resume", "run")
    assert resumed.code == 0, resumed.err
    assert f"resume last.ckpt, step {str(step)[0]}" in resumed.out
    assert "cannot be positioned" not in resumed.out + resumed.err
    assert is_equal(read_weights(project / "reference"), read_weights(project / "run"))
    assert read_metrics(project / "reference") == read_metrics(project / "run")


def train(command, data="Loaders", model="Classifier"):
    """Train a class of each kind for two steps in the directory run."""
    options = ["trainer.max_epochs=1", "+trainer.limit_train_batches=2", "test=false", "callbacks=[checkpoint]"]
    targets = [f"data._target_=loaders.{data}", f"model._target_=loaders.{model}"]
    outcome = command("data=points", "model=points", *targets, *options, "logger=none", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err


def predict(command, *arguments):
    outcome = command("predict", "run", *arguments)
    assert outcome.code == 0, outcome.err
    return outcome


def test_predictions_are_those_of_predict_step_for_predict_dataloader(project, command):
    train(command, data="PredictLoaders", model="NamedPredictions")
    rows = [*csv.DictReader(predict(command).out.splitlines())]
    assert [row["row"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [*rows[0]] == ["row", "class", "scores_1", "scores_2", "logit"]
    assert {row["class"] for row in rows} == {"even"}
    scores = [torch.tensor(float(row["logit"])).sigmoid().item() for row in rows]
    assert [float(row["scores_2"]) for row in rows] == pytest.approx(scores)

    assert predict(command, "--to=a.jsonl").out == "a.jsonl: 5 predictions\n"
    records = [json.loads(line) for line in (project / "a.jsonl").read_text().splitlines()]
    assert [record["logit"] for record in records] == [float(row["logit"]) for row in rows]
    assert len(records[0]["scores"]) == 2

    assert predict(command, "--to=a.pt").out == "a.pt: 3 batches\n"
    batches = torch.load(project / "a.pt", weights_only=True)
    assert torch.cat([batch["logit"] for batch in batches]).tolist() == [float(row["logit"]) for row in rows]
    assert not [*project.glob("*.part")]


def test_without_a_predict_dataloader_the_test_examples_are_predicted(project, command, caplog):
    train(command)
    outcome = predict(command)
    rows = [*csv.DictReader(outcome.out.splitlines())]
    assert (len(rows), [*rows[0]]) == (60, ["row", "value"])
    assert "predict: Loaders has no predict_dataloader; using its test_dataloader" in caplog.text


def test_examples_of_several_loaders_are_numbered(project, command):
    train(command, data="TwoPredictLoaders", model="NamedPredictions")
    rows = [*csv.DictReader(predict(command).out.splitlines())]
    assert [(row["loader"], row["row"]) for row in rows] == [("0", "0"), ("0", "1"), ("0", "2"), ("1", "0")]


def test_predictions_of_several_dimensions_need_another_file_type(project, command):
    train(command, data="PredictLoaders", model="ImagePredictions")
    outcome = command("predict", "run")
    assert outcome.code == 1
    assert "predict: 'value' of an example has several dimensions\n  --to=FILE.pt writes outputs of any" in outcome.err
    predict(command, "--to=a.jsonl")
    assert json.loads((project / "a.jsonl").read_text().splitlines()[0])["value"] == [[0.0, 0.0], [0.0, 0.0]]


ERRORS = {
    ("NoPredictions", "Loaders"): "predict: NoPredictions has no predict_step; add a method predict_step(self, batch)",
    ("Classifier", "TrainOnly"): "predict: TrainOnly has neither predict_dataloader nor test_dataloader; add one of",
}


@pytest.mark.parametrize(("model", "data"), ERRORS)
def test_a_run_that_cannot_predict_has_one_clear_error(model, data, project, command):
    train(command, data, model)
    outcome = command("predict", "run")
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: {ERRORS[model, data]}")
    assert "Traceback" not in outcome.err


def test_arguments_of_the_other_kind_of_prediction_are_refused(project, command):
    train(command)
    for arguments, message in {
        ("a.png",): "predict the examples of its data module: trainer predict run/checkpoints/best.ckpt\n",
        ("--invert", "--batch=2"): "predict: --invert, --batch require files; expected: trainer predict run FILES...\n",
        ("--to=a.txt",): "predict: --to: 'a.txt' ends neither in .csv, .jsonl nor in .pt\n",
    }.items():
        outcome = command("predict", "run", *arguments)
        assert outcome.code == 1
        assert message in outcome.err


def test_a_run_that_the_user_has_started_here_needs_no_trust(project, command):
    train(command)
    for arguments in (["test", "run"], ["predict", "run"], ["resume", "run", "trainer.max_epochs=2"]):
        outcome = command(*arguments)
        assert outcome.code == 0, outcome.err
    moved = shutil.move(project / "run", project / "moved")
    assert command("test", "moved").code == 0
    shutil.copy(moved / "checkpoints/best.ckpt", project / "copy.ckpt")
    assert command("predict", "copy.ckpt").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["test", "run"], ["predict", "run"], ["resume", "run", "trainer.max_epochs=2"]])
def test_runs_of_other_users_and_directories_do(arguments, project, command, monkeypatch):
    train(command)
    monkeypatch.setenv("XDG_STATE_HOME", str(project / "another user"))
    refused = command(*arguments)
    assert refused.code == 1
    assert "data: loaders.Loaders: package is not declared as trusted" in refused.err
    assert "if you trust this code, add --trust=loaders (or set TRAINER_TRUST=loaders)\n" in refused.err
    elsewhere = project / "elsewhere"
    shutil.copytree(project, elsewhere, ignore=shutil.ignore_patterns("elsewhere"))
    monkeypatch.chdir(elsewhere)
    assert "is not declared as trusted" in command(*arguments).err
    assert command(*arguments, "--trust=loaders").code == 0


CHANGES = {"config.yaml": ["replay", "run"], ".hydra/config.yaml": ["resume", "run", "trainer.max_epochs=2"]}


@pytest.mark.parametrize("file", CHANGES)
def test_a_changed_config_needs_trust(file, project, command):
    train(command)
    text = (project / "run" / file).read_text()
    assert "loaders.Loaders" in text
    (project / "run" / file).write_text(text.replace("loaders.Loaders", "loaders.random.shuffle"))
    refused = command(*CHANGES[file])
    assert refused.code == 1
    assert "data: loaders.random.shuffle: package is not declared as trusted" in refused.err


@pytest.mark.slow
def test_the_replay_of_a_changed_module_runs_its_copy(project, process):
    options = ["trainer.max_epochs=1", "callbacks=[checkpoint]", "logger=none", "hydra.run.dir=run"]
    assert process("data=points", "model=points", *options).code == 0
    (project / "loaders.py").write_text(LOADERS.read_text().replace("0.1 * noise", "0.2 * noise"))
    restored = process("replay", "run")
    assert restored.code == 0, restored.err
    assert "identical\n  metrics      bitwise identical" in restored.out
    current = process("replay", "run", "--current-code")
    assert current.code == 1
    assert "  code         differs: loaders.py (" in current.out
    assert current.out.splitlines()[-1] == "possible causes: data, code"
