"""Files that the user did not write run no code, and say why."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from trainer.core.errors import UserError
from trainer.inference.load_checkpoint import read_checkpoint
from trainer.sweeps.store.job_store import Ledger

RUN = ["data=digits", "model=linear", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "hydra.run.dir=base"]
MARK = "from pathlib import Path\nPath('executed').touch()\n"
HUB = {"repo_or_dir": "hub", "model": "x", "source": "local"}
SEARCH = ["optimizer.lr=interval(0.1,1)", "sweep.n_trials=2", "optimized_metric=val/loss"]
LONGER = ["trainer.max_epochs=2", "accept_changes=true"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return the directory of a short run of another user."""
    directory = tmp_path_factory.mktemp("source")
    environment = {**os.environ, "XDG_STATE_HOME": str(directory / "another user")}
    command = [sys.executable, "-m", "trainer", *RUN]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, env=environment)
    return directory / "base"


@pytest.fixture
def base(source, tmp_path):
    """Copy the run to the working directory, beside code that leaves a mark if it is executed."""
    shutil.copytree(source, tmp_path / "base")
    (tmp_path / "base/code.diff").unlink(missing_ok=True)  # of the checkout of these tests
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/hubconf.py").write_text(MARK)
    (tmp_path / "evil.py").write_text(f"{MARK}from trainer.data.xor import XOR\n")
    yield tmp_path / "base"
    assert not (tmp_path / "executed").exists()


def edit(file: Path, change):
    """Change the content of a JSON or YAML file, or of a checkpoint."""
    if file.suffix == ".ckpt":
        content = torch.load(file, weights_only=True)
        change(content)
        torch.save(content, file)
    elif file.suffix == ".json":
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))
    else:
        content = yaml.safe_load(file.read_text())
        change(content)
        file.write_text(yaml.safe_dump(content))


@pytest.mark.slow
def test_the_logging_of_a_resumed_run_is_not_that_of_its_directory(base, command):
    logging = {"version": 1, "handlers": {"x": {"()": "torch.hub.load", **HUB}}, "root": {"handlers": ["x"]}}
    edit(base / ".hydra/hydra.yaml", lambda content: content["hydra"].update(job_logging=logging))
    outcome = command("resume", "base", *LONGER)
    assert outcome.code == 0, outcome.err
    assert json.loads((base / "result.json").read_text())["epochs"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("text", ["${oc.env:HOME}", "a ${oc.decode:x}", "${${x}:y}", "${oc.create:{}}"])
def test_interpolations_of_a_foreign_run_are_refused(text, base, command):
    edit(base / ".hydra/config.yaml", lambda content: content.update(tags=[text]))
    outcome = command("resume", "base", *LONGER)
    assert outcome.code == 1
    assert outcome.err.startswith("error: 'base' names code that is not trusted; none of it was run\n")
    assert f"  tags.0: {text}: interpolation in a recorded config\n" in outcome.err


@pytest.mark.parametrize("key", ["defaults", "hydra"])
def test_keys_that_hydra_would_obey_are_refused(key, base, command):
    edit(base / "config.yaml", lambda content: content.update({key: {"/hydra/job_logging": "evil"}}))
    edit(base / "checkpoints/best.ckpt", lambda content: content["config"].update({key: ["evil"]}))
    for arguments in (["replay"], ["test"]):
        outcome = command(*arguments, "base")
        assert outcome.code == 1
        assert f"contains {key}, which no config of a run has; nothing was run\n" in outcome.err


@pytest.mark.parametrize(
    "net",
    [
        {"_target_": "torch.hub.load", **HUB},
        {"_target_": "evil.XOR"},
        {"_target_": "trainer.sweeps.executors.ray.RayExecutor", "init": {"runtime_env": {"pip": ["hub"]}}},
        {"_target_": "pytorch_lightning.loggers.csv_logs.ExperimentWriter", "log_dir": "base"},
        {"_target_": "hydra.utils.get_method", "path": "evil.XOR"},
        {"_target_": "trainer.__main__.main"},
        {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "os.system", "command": "touch executed"}]},
    ],
    ids=lambda net: net["_target_"],
)
def test_a_checkpoint_names_no_other_code_than_the_roles_of_a_config(net, base, command):
    edit(base / "checkpoints/best.ckpt", lambda content: content["config"]["model"].update(net=net))
    with pytest.raises(UserError, match=r"names code that is not trusted; none of it was run\n  model.net"):
        read_checkpoint(base / "checkpoints/best.ckpt")
    assert (base / "metrics.csv").is_file()


def test_a_declared_package_does_not_open_what_it_imports(base, tmp_path):
    (tmp_path / "declared.py").write_text("import torch\n")
    sys.path.append(str(tmp_path))
    net = {"_target_": "declared.torch.hub.load", **HUB}
    edit(base / "checkpoints/best.ckpt", lambda content: content["config"]["model"].update(net=net))
    with pytest.raises(UserError, match=r"declared\.torch\.hub\.load: defined in torch\.hub, which is not trusted"):
        read_checkpoint(base / "checkpoints/best.ckpt", "declared")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "base", "a.png"],
        ["report", "base"],
        pytest.param(["test", "base"], marks=pytest.mark.slow),
        pytest.param(["resume", "base"], marks=pytest.mark.slow),
    ],
    ids=lambda arguments: arguments[0],
)
def test_files_named_like_optional_packages_are_not_imported(arguments, base, tmp_path, process):
    for name in ("dill", "tensorflow", "evil", "sitecustomize", "wandb", "matplotlib"):
        (tmp_path / f"{name}.py").write_text(MARK)
    script = "import sys; sys.argv[0] = 'trainer'; from trainer.cli.main import main; main()"
    command = [sys.executable, "-P", "-c", script, *arguments, *(LONGER if arguments[0] == "resume" else [])]
    outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr


def make_repository(directory):
    """Create a git repository whose hook and whose package `trainer` leave a mark; return its commit."""
    (directory / "src/trainer").mkdir(parents=True)
    (directory / "src/trainer/__init__.py").touch()
    (directory / "src/trainer/__main__.py").write_text(MARK)
    git = ["git", "-C", str(directory), "-c", "user.name=x", "-c", "user.email=x"]
    for arguments in (["init"], ["add", "."], ["commit", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    hook = directory / ".git/hooks/post-checkout"
    hook.write_text("#!/bin/sh\ntouch executed\n")
    hook.chmod(0o755)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_a_replay_checks_out_no_unknown_repository(base, tmp_path, command):
    root = str(tmp_path / "base/repository")
    checkout = {"root": root, "commit": make_repository(tmp_path / "base/repository"), "branch": "b", "changed": []}
    edit(base / "provenance.json", lambda content: content.update(git=[checkout]))
    outcome = command("replay", "base")
    assert outcome.code == 1
    assert f"its checkout '{root}' is neither that of trainer nor that of the working directory" in outcome.err


def test_a_replay_applies_no_changes_of_others(base, command):
    (base / "code.diff").write_text("# checkout /x\ndiff --git a/x b/x\n")
    outcome = command("replay", "base")
    assert outcome.code == 1
    assert "you have not made the uncommitted changes in 'base/code.diff', so they are not run" in outcome.err


@pytest.mark.slow
def test_overrides_in_the_provenance_of_a_replayed_run_are_not_executed(base, command):
    words = ["+callbacks.x._target_=torch.hub.load", "--config-dir=hub"]
    edit(base / "provenance.json", lambda content: content.update(overrides=words, git=[]))
    assert "identical" in command("replay", "base").out


@pytest.fixture
def foreign_sweep(base, tmp_path, monkeypatch):
    """Return a function that makes a planned sweep of another user in `sweep`."""
    monkeypatch.chdir(tmp_path)

    def make(words, directory=None, jobs=()):
        Path("sweep").mkdir()
        Ledger.open_or_create(Path("sweep")).add_jobs(words, {str(number): job for number, job in enumerate(jobs)})
        with sqlite3.connect("sweep/sweep.sqlite") as database:
            database.execute("UPDATE command SET signature = 'x', directory = ?", (str(directory or tmp_path),))

    return make


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*RUN[:-1], "data._target_=evil.XOR"], "data: evil.XOR: package is not declared as trusted"),
        ([*RUN[:-1], "data._target_=evil.XOR", "optimized_metric=val/x"], "data: evil.XOR: package is not declared"),
        ([*RUN[:-1], *SEARCH, "sweep.sampler={_target_: evil.XOR}"], "sweep.sampler: evil.XOR: package is"),
        ([*RUN[:-1], "+hydra.callbacks.x._target_=evil.XOR"], "which may run any code"),
        ([*RUN[:-1], "hydra/job_logging=evil"], "which may run any code"),
        (["--config-dir=hub", *RUN[:-1]], "which may run any code"),
        ([*RUN[:-1], "tags=['${oc.env:HOME}']"], "interpolation in a recorded config"),
    ],
)
def test_the_command_of_a_foreign_sweep_is_checked(words, message, foreign_sweep, command):
    foreign_sweep(words)
    outcome = command("sweep", "resume", "sweep")
    assert outcome.code == 1
    assert message in outcome.err


def test_the_jobs_of_a_foreign_sweep_are_checked(foreign_sweep, command):
    foreign_sweep(RUN[:-1], jobs=[[*RUN[:-1], "data._target_=evil.XOR"]])
    for arguments in (["sweep", "resume", "sweep"], ["-m", *RUN[:-1], "seed=1,2", "hydra.sweep.dir=sweep"]):
        outcome = command(*arguments)
        assert outcome.code == 1
        assert "data: evil.XOR: package is not declared as trusted" in outcome.err


def test_a_foreign_sweep_is_resumed_in_its_own_directory_only(foreign_sweep, command, tmp_path):
    (tmp_path / "place").mkdir()
    foreign_sweep(RUN[:-1], directory=tmp_path / "place")
    outcome = command("sweep", "resume", "sweep")
    assert outcome.code == 1
    assert f"resume it in its directory: cd {tmp_path}/place\n" in outcome.err


def test_a_corrupted_ledger_is_an_error(foreign_sweep, command):
    foreign_sweep(RUN[:-1], jobs=[RUN[:-1]])
    for column, value in {
        "overrides": "[1]",
        "attempts": "x",
        "state": "great",
        "result": "{}",
        "seconds": "'",
    }.items():
        with sqlite3.connect("sweep/sweep.sqlite") as database:
            (old,) = database.execute(f"SELECT {column} FROM job").fetchone()
            database.execute(f"UPDATE job SET {column} = ?", (value,))
        outcome = command("sweep", "show", "sweep")
        assert outcome.code == 1
        assert outcome.err.startswith("error: the ledger 'sweep/sweep.sqlite' is corrupted: ")
        with sqlite3.connect("sweep/sweep.sqlite") as database:
            database.execute(f"UPDATE job SET {column} = ?", (old,))
