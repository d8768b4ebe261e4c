"""Foreign loggers receive the config, and their runs are closed."""

import json
import sys
from contextlib import suppress
from types import ModuleType

import pytest
import yaml
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers import wandb as lightning_wandb

from trainer.artifacts.logger_lifecycle import closing_loggers
from trainer.core.errors import Pruned

SHORT = ("data=digits", "model=linear", "trainer.max_epochs=1", "trainer.log_every_n_steps=5")
WANDB = ("logger=none", "+logger.wandb._target_=pytorch_lightning.loggers.WandbLogger")
NOTES = '''
import json

from pytorch_lightning.loggers.logger import Logger


class Notes(Logger):
    """Writes each call into a file, the first when it is created: as a logger that starts a run on a server."""

    name, version = "notes", 0

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.note("opened")

    def note(self, *what):
        with open(self.file, "a") as file:
            print(json.dumps(what), file=file)

    def log_hyperparams(self, params, *_):
        self.note("hyperparameters", params)
        params.clear()  # a logger may do so

    def log_metrics(self, metrics, step=None):
        self.note("metrics", metrics)


class MediaNotes(Notes):
    """Writes images and tables, too."""

    def log_image(self, key, images, step=None):
        self.note("image", key, step)

    def log_table(self, key, columns, data, step=None):
        self.note("table", key, step)
'''


class Run:
    """Run of wandb; a process has one at a time."""

    def __init__(self, name):
        self.id = str(id(self))
        self.name = name
        self.rows = []
        self.exit_code = None
        self.config = Config()

    def define_metric(self, *_, **__):
        pass

    def log(self, row):
        self.rows.append(row)

    def finish(self, exit_code=None):
        self.exit_code = exit_code
        sys.modules["wandb"].run = None


class Config(dict):
    def update(self, params, allow_val_change=False):
        super().update(params)


@pytest.fixture
def wandb(monkeypatch):
    """Return a fake of wandb, whose `runs` contains all started runs."""
    names = ("wandb", "wandb.sdk", "wandb.sdk.lib", "wandb.wandb_run")
    modules = {name: ModuleType(name) for name in names}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    fake = modules["wandb"]
    fake.run = None
    fake.runs = []

    def init(name=None, **_):
        fake.run = Run(name)
        fake.runs.append(fake.run)
        return fake.run

    fake.init = init
    fake.Image = fake.Table = lambda *_, **__: "media"
    modules["wandb.sdk.lib"].RunDisabled = type("RunDisabled", (), {})
    modules["wandb.wandb_run"].Run = Run
    monkeypatch.setattr(lightning_wandb, "_WANDB_AVAILABLE", True)
    return fake


@pytest.mark.slow
def test_each_job_of_a_sweep_has_its_own_wandb_run_and_config(command, wandb):
    done = command("-m", *SHORT, *WANDB, "optimizer.lr=0.1,0.2,0.3")
    assert done.code == 0, done.err
    assert [run.config["optimizer"]["lr"] for run in wandb.runs] == [0.1, 0.2, 0.3]
    assert [run.config["seed"] for run in wandb.runs] == [1, 1, 1]
    for run in wandb.runs:
        assert sum("test/accuracy" in row for row in run.rows) == 1
        assert run.exit_code == 0
    assert wandb.run is None


def test_the_wandb_run_of_a_failed_training_has_exit_code_1(command, wandb):
    done = command(*SHORT, *WANDB, "optimizer=sgd", "optimizer.lr=1e38")  # the loss becomes infinite
    assert done.code == 1
    assert [run.exit_code for run in wandb.runs] == [1]
    assert wandb.run is None


def test_a_check_and_the_preflight_of_a_run_open_no_run_of_a_logger(command, tmp_path):
    (tmp_path / "notes.py").write_text(NOTES)
    overrides = (*SHORT, "+logger.notes._target_=notes.Notes", f"+logger.notes.file={tmp_path}/calls")
    assert command("check", *overrides).code == 0
    assert not (tmp_path / "calls").exists()
    assert command(*overrides).code == 0
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [kind for kind, *_ in calls].count("opened") == 1


@pytest.mark.slow
def test_every_logger_receives_the_config_before_the_first_metric(command, tmp_path):
    (tmp_path / "notes.py").write_text(NOTES)
    loggers = [f"+logger.{name}._target_=notes.Notes" for name in ("first", "second")]
    loggers += [f"+logger.{name}.file={tmp_path}/{name}" for name in ("first", "second")]
    done = command(*SHORT, *loggers, "hydra.run.dir=run", "tags=[mine]")
    assert done.code == 0, done.err
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert config["tags"] == ["mine"]
    for name in ("first", "second"):
        calls = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        assert [kind for kind, *_ in calls[:3]] == ["opened", "hyperparameters", "metrics"]
        assert calls[1][1] == config


def test_only_lightnings_own_csv_logger_writes_hparams(command, tmp_path):
    overrides = ["+logger.other._target_=pytorch_lightning.loggers.CSVLogger", "+logger.other.save_dir=other"]
    done = command(*SHORT, *overrides, "hydra.run.dir=run")
    assert done.code == 0, done.err
    [file] = (tmp_path / "other").rglob("hparams.yaml")
    assert yaml.safe_load(file.read_text())["optimizer"]["lr"] == 0.001
    assert not (tmp_path / "run/hparams.yaml").exists()


@pytest.mark.slow
def test_each_job_of_a_sweep_has_its_own_logger_with_swept_keys_metrics_images_and_tables(command, tmp_path):
    (tmp_path / "notes.py").write_text(NOTES)
    file = "+logger.notes.file=${hydra:runtime.output_dir}/calls"
    logger = ("+logger.notes._target_=notes.MediaNotes", file)
    done = command("-m", SHORT[0], *SHORT[2:], *logger, "optimizer.lr=0.1,0.2", "model=linear,mlp", "hydra.sweep.dir=s")
    assert done.code == 0, done.err
    swept = []
    for job in range(4):
        calls = [json.loads(line) for line in (tmp_path / f"s/{job}/calls").read_text().splitlines()]
        assert [kind for kind, *_ in calls].count("opened") == 1
        [hyperparameters] = [arguments[0] for kind, *arguments in calls if kind == "hyperparameters"]
        config = yaml.safe_load((tmp_path / f"s/{job}/config.yaml").read_text())
        swept.append(hyperparameters.pop("hparams"))
        assert hyperparameters == config
        metrics = json.loads((tmp_path / f"s/{job}/result.json").read_text())["metrics"]
        logged = [arguments[0] for kind, *arguments in calls if kind == "metrics"]
        assert logged[-1] == {"val/loss_best": metrics["val/loss_best"]}
        assert sum("test/accuracy" in row for row in logged) == 1
        media = [arguments for kind, *arguments in calls if kind in ("image", "table")]
        assert ["val/predictions", 20] in media
        assert ["test/classification_report", 20] in media
    assert swept == [{"optimizer.lr": lr, "model": model} for lr in (0.1, 0.2) for model in ("linear", "mlp")]


@pytest.mark.parametrize(("error", "status"), [(None, 0), (Pruned({}), 0), (KeyboardInterrupt(), 1)])
def test_only_a_failure_gives_an_exit_status(error, status, wandb):
    logger = WandbLogger()
    with suppress(BaseException), closing_loggers([logger]):
        assert logger.experiment
        if error:
            raise error
    assert [run.exit_code for run in wandb.runs] == [status]
