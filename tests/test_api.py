"""The functions of the Python API: configure, train, test, load and predict."""

import logging
import subprocess
import sys
from pkgutil import iter_modules

import pytest
import torch
from omegaconf import OmegaConf

import trainer
from trainer.core.errors import UserError
from trainer.training import run as training_run

QUICK = ["model=linear", "trainer.max_epochs=1", "callbacks=[checkpoint]", "logger=none"]


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    """Work in an empty directory, and close the log files of its runs afterwards."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers = root.handlers[:]
    yield tmp_path
    for handler in {*root.handlers} - {*handlers}:
        handler.close()
        root.removeHandler(handler)


def test_a_config_is_composed_changed_and_trained_and_the_model_loaded(cwd):
    config = trainer.configure(*QUICK)
    config.trainer.max_epochs = 2
    first = trainer.train(config)
    second = trainer.train(config)
    assert first.directory != second.directory
    assert first.directory.parent == cwd / "outputs/digits_linear"
    assert first.metrics == second.metrics
    assert first.checkpoint == first.directory / "checkpoints/best.ckpt"
    assert config.trainer.max_epochs == 2

    model = trainer.load(first.directory)
    assert model.config["trainer"]["max_epochs"] == 2
    assert model.spec.name == "digits"
    assert len(model.predict(torch.zeros(3, 1, 8, 8))) == 3

    tested = trainer.test(first.checkpoint, "hydra.run.dir=tested")
    assert tested.metrics["test/accuracy"] == first.metrics["test/accuracy"]
    assert tested.directory == cwd / "tested"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run of two epochs, read from its directory."""
    directory = tmp_path_factory.mktemp("runs") / "a"
    overrides = ["model=linear", "trainer.max_epochs=2", "callbacks=[checkpoint]", f"hydra.run.dir={directory}"]
    subprocess.run([sys.executable, "-m", "trainer", *overrides], check=True, capture_output=True, timeout=120)
    return trainer.Run(directory)


def test_a_run_has_a_history_with_a_row_per_epoch(run):
    assert run.state == "finished"
    assert run.config["trainer"]["max_epochs"] == 2
    assert {*run.history} >= {"epoch", "train/loss", "val/loss", "val/accuracy"}
    assert run.history["epoch"] == [1, 2]
    assert run.history["val/loss"][-1] == run.metrics["val/loss"]
    assert run.history.rows()[0]["train/loss"] == run.history["train/loss"][0]
    with pytest.raises(KeyError, match="no column 'val/acuracy'; did you mean 'val/accuracy'"):
        run.history["val/acuracy"]


def test_a_run_is_shown_as_text_and_in_a_notebook(run, monkeypatch):
    monkeypatch.chdir(run.directory.parent)
    accuracy = f"{run.metrics['test/accuracy']:.4g}"
    assert repr(run).startswith("<Run 'a': finished, test/loss ")
    assert repr(run).endswith(f"test/accuracy {accuracy}>")
    assert "<code>a</code>: finished<table>" in run._repr_html_()
    assert f"<td>{accuracy}</td>" in run._repr_html_()
    assert repr(run.plot()) == "<Curves of 'a': loss, accuracy; a notebook draws them, and so does report()>"
    html = run.plot("loss")._repr_html_()
    assert html.count("<svg ") == 1
    assert "var(" not in html
    assert run.report() == run.directory / "report.html"
    with pytest.raises(UserError, match="plot: no curve 'los'; did you mean 'loss'"):
        run.plot("los")


def test_a_history_becomes_a_data_frame_if_pandas_is_installed(run, monkeypatch):
    pandas = pytest.importorskip("pandas")
    assert run.history.to_frame().equals(pandas.DataFrame(dict(run.history)))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="to_frame: pandas is not installed; install it: pip install pandas"):
        run.history.to_frame()


def test_a_sweep_has_its_runs_and_compares_them(cwd):
    axes = [*QUICK, "data=xor", "optimizer.lr=0.1,0.01", "seed=1,2", "hydra.sweep.dir=runs"]
    sweep = trainer.sweep(*axes)
    assert sweep.directory == trainer.Sweep("runs").directory
    assert repr(sweep) == "<Sweep 'runs': 4 runs, 4 finished>"
    assert sweep.results["run"] == ["0", "1", "2", "3"]
    assert sweep.results["optimizer.lr"] == [0.1, 0.1, 0.01, 0.01]
    assert sweep.results["val/loss"] == [run.metrics["val/loss"] for run in sweep.runs]
    compared = sweep.compare(metric="val/loss", baseline="optimizer.lr=0.01")
    assert {*compared["config"]} == {"optimizer.lr=0.1", "optimizer.lr=0.01"}
    first = int(compared["config"][0] == "optimizer.lr=0.01")
    best = min(sweep.runs[2 * first : 2 * first + 2], key=lambda run: run.metrics["val/loss"])
    assert sweep.best.directory == best.directory
    assert (cwd / "runs/sweep.sqlite").is_file()
    assert trainer.report(sweep.directory, "all.md", metric="val/loss").read_text().startswith("# runs")
    assert trainer.sweep(*axes).results == sweep.results  # nothing is run again


def test_a_directory_that_contains_no_sweep_is_a_user_error(cwd):
    (cwd / "runs/1").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^hydra.sweep.dir: 'runs' is not empty"):
        trainer.sweep(*QUICK, "data=xor", "seed=1,2", "hydra.sweep.dir=runs")


def test_a_failed_run_of_a_sweep_is_a_user_error_after_the_others(cwd, monkeypatch):
    original = training_run.train_and_test

    def fail(config, *_):
        if config.seed == 1:
            raise UserError("no luck")
        return original(config, *_)

    monkeypatch.setattr(training_run, "train_and_test", fail)
    with pytest.raises(UserError, match=r"^1 of 2 jobs failed:\n  job 0 .*seed=1.*: no luck\n  to retry"):
        trainer.sweep(*QUICK, "data=xor", "seed=1,2", "hydra.sweep.dir=a")
    assert [run.state for run in trainer.Sweep("a").runs] == ["failed", "finished"]


def test_train_accepts_overrides(cwd):
    assert trainer.train(*QUICK, "data=xor", "hydra.run.dir=mine").directory == cwd / "mine"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["modle=cnn"], "modle: no such key; did you mean 'model'"),
        (["model=cn"], "did you mean 'cnn'"),
        (["trainer.max_epochs=x"], "trainer.max_epochs: 'x' is not int or null"),
        (["model=cnn", "data=line"], "model 'cnn' needs images"),
    ],
)
def test_config_errors_are_user_errors(overrides, message, cwd):
    with pytest.raises(UserError, match=message):
        trainer.train(*overrides)


def test_a_directory_in_use_is_a_user_error(cwd):
    (cwd / "mine").mkdir()
    (cwd / "mine/result.json").touch()
    with pytest.raises(UserError, match=r"^hydra.run.dir: '.*mine' is not empty"):
        trainer.train(*QUICK, "hydra.run.dir=mine")


def test_a_config_and_overrides_are_not_mixed(cwd):
    with pytest.raises(UserError, match=r"^trainer\.train: cannot combine a config with other arguments"):
        trainer.train(trainer.configure(), "model=cnn")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [torch.nn.Linear(1, 1), "data=xor"],
            "trainer.train: cannot use an argument of type Linear; expected a config",
        ),
        ([{"data": "xor"}], "trainer.train: cannot use an argument of type dict; expected a config"),
        ([["data=xor"]], "trainer.train: cannot use an argument of type list; expected a config"),
        (
            [OmegaConf.create({"seed": 1})],
            "the config has no task_name, tags, train, .* expected a config of trainer.configure",
        ),
        ([OmegaConf.create({}), torch.nn.Linear(1, 1)], "trainer.train: cannot combine a config with other arguments"),
    ],
)
def test_nothing_is_trained_if_an_argument_would_have_no_effect(arguments, message, cwd):
    with pytest.raises(UserError, match=message):
        trainer.train(*arguments)
    assert [*cwd.iterdir()] == []


@pytest.mark.parametrize("name", ["configure", "test", "load", "sweep", "report", "Run", "Sweep"])
def test_every_function_refuses_an_argument_of_a_type_that_it_cannot_use(name, cwd):
    with pytest.raises(UserError, match=rf"^trainer.{name}: cannot use an argument of type dict; expected"):
        getattr(trainer, name)({"data": "xor"})


def test_overrides_of_a_test_must_be_text(cwd):
    with pytest.raises(UserError, match=r"^trainer.test: cannot use an argument of type int; expected overrides"):
        trainer.test("best.ckpt", 3)


def test_a_preprocessing_option_is_refused_for_a_tensor(cwd):
    model = trainer.load(trainer.train(*QUICK).directory)
    with pytest.raises(UserError, match=r"^fit: invalid option for a tensor"):
        model.predict(torch.zeros(3, 1, 8, 8), fit="pad")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trainer.sweep("-m"), "trainer.sweep: cannot use the option -m; expected overrides"),
        (lambda: trainer.sweep("modle=mlp,cnn"), "modle: no such key; did you mean 'model'"),
        (lambda: trainer.Run("nowhere"), "'nowhere' is not a run directory"),
        (lambda: trainer.Sweep("nowhere"), "trainer.Sweep: no runs below 'nowhere'"),
        (lambda: trainer.report("nowhere"), "report: no directory 'nowhere'"),
        (lambda: trainer.report(".", "a.pdf"), "trainer.report: to: 'a.pdf' has the wrong format; expected a file"),
    ],
)
def test_wrong_arguments_are_explained(call, message, cwd):
    with pytest.raises(UserError, match=f"^{message}"):
        call()


def test_completion_and_help_list_the_public_names():
    functions = ["configure", "load", "report", "sweep", "test", "train"]
    classes = ["Callback", "DataSpec", "Objective", "Run", "Split", "Supervised", "Sweep", "TensorData", "UserError"]
    assert dir(trainer) == sorted([*classes, *functions, "__version__"])
    assert {*trainer.__all__} == {*classes, *functions}
    assert all(f"trainer.{name}(" in getattr(trainer, name).__doc__ for name in functions)
    assert not {*functions} & {module.name for module in iter_modules(trainer.__path__)}


def test_importing_trainer_imports_nothing_heavy():
    code = "import sys, trainer; assert not {'torch', 'hydra', 'trainer.api'} & {*sys.modules}; trainer.configure"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'trainer' has no attribute 'nothing'"):
        _ = trainer.nothing
