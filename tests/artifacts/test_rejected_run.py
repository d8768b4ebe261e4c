"""Directories of rejected runs, which are removed if they contain nothing else."""

import contextlib

import pytest

from trainer.artifacts.rejected_run import removed_if_rejected
from trainer.core.errors import UserError

FILES = (".hydra/config.yaml", ".hydra/hydra.yaml", "trainer.log", "result.json", ".lock")


@pytest.fixture
def run(tmp_path):
    """Create the files of a run that has not started."""
    for name in FILES:
        (tmp_path / "sweep/run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sweep/run" / name).touch()
    return tmp_path / "sweep/run"


def fail(run, error, *, is_accepted=False):
    with contextlib.suppress(type(error)), removed_if_rejected(run) as accept:
        if is_accepted:
            accept()
        raise error
    return run.exists()


def test_the_directory_of_a_rejected_run_is_removed(run):
    assert not fail(run, UserError("rejected"))
    assert run.parent.exists()


def test_the_directory_of_a_run_that_fails_later_remains(run):
    assert fail(run, UserError("failed"), is_accepted=True)
    assert fail(run, ValueError("a bug"))
    assert fail(run, KeyboardInterrupt())


@pytest.mark.parametrize("name", ["config.yaml", "checkpoints/last.ckpt", ".hydra/mine"])
def test_a_directory_with_other_files_remains(run, name):
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).touch()
    assert fail(run, UserError("rejected"))
    assert all((run / file).is_file() for file in (*FILES, name))


@pytest.mark.parametrize("name", ["sweep.sqlite", "multirun.yaml"])
def test_the_directory_of_a_job_remains(run, name):
    (run.parent / name).touch()
    assert fail(run, UserError("rejected"))
