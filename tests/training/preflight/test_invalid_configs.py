"""Reports of invalid configs, with the key and location of each error and no other error."""

import importlib.util
import shlex
from pathlib import Path

import pytest

from trainer.sweeps.preflight import check_overrides

SPEC = importlib.util.spec_from_file_location("invalid_configs", Path(__file__).with_name("invalid_configs.py"))
CASES = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(CASES)
EXPERIMENTS = sorted(file.stem for file in (Path(__file__).parents[3] / "experiments").glob("*.yaml"))


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAINER_DATA_DIR", raising=False)
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    (tmp_path / "file").write_text("a file instead of a directory")
    return tmp_path


def test_the_corpus_is_large():
    assert len(CASES.COMMAND_LINES) + len(CASES.FILES) >= 80


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command_line", "key", "message"), CASES.COMMAND_LINES, ids=[row[0] for row in CASES.COMMAND_LINES]
)
def test_an_error_on_the_command_line_is_reported(command_line, key, message, cwd):
    diagnostics = check_overrides(shlex.split(command_line)).diagnostics
    expected = [item for item in diagnostics if item.key == key and message in str(item)]
    assert len(expected) == 1, [str(item) for item in diagnostics]
    group = key.partition(".")[0]
    unexpected = [str(item) for item in diagnostics if item.is_error and item.key.partition(".")[0] != group]
    assert unexpected == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "text", "command_line", "key", "line", "message"),
    CASES.FILES,
    ids=[f"{row[0]}-{row[3]}-{row[4]}" for row in CASES.FILES],
)
def test_an_error_in_a_file_is_reported_with_its_line(file, text, command_line, key, line, message, cwd):
    (cwd / file).parent.mkdir(parents=True)
    (cwd / file).write_text(text)
    diagnostics = check_overrides(shlex.split(command_line)).diagnostics
    expected = [item for item in diagnostics if item.key.startswith(key)]
    assert len(expected) == 1, [str(item) for item in diagnostics]
    assert message in str(expected[0])
    assert (expected[0].location.text, expected[0].location.line) == (file if line else command_line, line)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_all_errors_in_an_experiment_are_reported_at_once(experiment, cwd):
    overrides = [
        "+model.net.hidde_n=3",
        "optimizer.lr=x",
        "trainer.max_epochs=many",
        "+data.batchsize=2",
        "epocs=1",
    ]
    diagnostics = check_overrides([f"experiment={experiment}", *overrides]).diagnostics
    keys = {item.key: item for item in diagnostics}
    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        assert keys[key].location.text == override


@pytest.mark.slow
def test_all_jobs_of_a_sweep_are_checked_and_errors_list_their_jobs(cwd):
    report = check_overrides(["-m", "model=mlp,cnn", "data=digits,xor", "optimizer.lr=0.1,x,0.3"])
    assert (report.jobs, report.checked_jobs) == (12, 12)
    jobs = {item.key: item.jobs for item in report.diagnostics}
    assert jobs == {"optimizer.lr": (1, 4, 7, 10), "model": (9, 11)}


def test_each_value_of_a_large_sweep_is_in_a_job_that_is_checked(cwd, monkeypatch):
    monkeypatch.setattr("trainer.sweeps.preflight.MAX_FULLY_CHECKED_JOBS", 30)
    values = ",".join(map(str, range(1, 7)))
    report = check_overrides(["-m", f"seed={values}", f"trainer.max_epochs={values},x"])
    assert report.jobs == 6 * 7
    assert report.checked_jobs < 20
    assert [item.key for item in report.diagnostics] == ["trainer.max_epochs"]


SEARCH = ["-m", "experiment=xor_mlp", "hparams_search=xor_mlp"]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["sweep", "optimized_metric", "seed", "data", "test"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["experiment=xor_mlp"],
        pytest.param(["-m", "experiment=xor_mlp", "seed=1,2"], marks=pytest.mark.slow),
        pytest.param(SEARCH, marks=pytest.mark.slow),
    ],
)
def test_a_removed_key_is_reported(arguments, key, command):
    outcome = command(*arguments, f"~{key}")
    assert outcome.code == 1
    assert f"{key}: " in outcome.err
    assert f"~{key}" in outcome.err
    assert "Traceback" not in outcome.err
