"""The command refuses to start if files of another distribution with a package `trainer` are mixed with its own."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import trainer
import trainer_command

SOURCE = Path(trainer.__file__).parents[1]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Create a directory of packages with the entry point and a package `trainer`, which is first in the path."""
    package = tmp_path / "trainer"
    (package / "cli").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli/main.py").write_text("def main():\n    print('started')\n")
    (tmp_path / "trainer_command.py").write_text((SOURCE / "trainer_command.py").read_text())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def start(directory):
    script = "import sys; from trainer_command import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-S", "-c", script], cwd=directory, capture_output=True, text=True)


def test_the_command_starts_if_the_package_contains_only_its_own_files(installed):
    result = start(installed)
    assert (result.returncode, result.stdout, result.stderr) == (0, "started\n", "")


@pytest.mark.parametrize("name", ["trainer", "coqui-tts-trainer"])
def test_mixed_files_are_one_error_that_names_the_other_distribution(name, installed):
    (installed / "trainer/trainer.py").touch()
    (installed / "trainer/__init__.py").write_text("raise RuntimeError('of the other distribution')")
    metadata = installed / f"{name.replace('-', '_')}-0.0.36.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.36\n")
    result = start(installed)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"error: '{installed / 'trainer'}' contains files of '{name}' 0.0.36, which has the same import name as this "
        "one, 'hydra-lightning-trainer'\n  use a new environment, or remove both and then install this one again: "
        f"pip uninstall {name} hydra-lightning-trainer\n"
    )


def test_missing_files_are_an_error(installed):
    (installed / "trainer/__init__.py").unlink()  # as by `pip uninstall` of the other distribution
    result = start(installed)
    assert result.returncode == 1
    assert result.stderr == (
        "error: files of the package 'trainer' are missing; another distribution of that import name may have been "
        "removed\n  install this one again, after: pip uninstall hydra-lightning-trainer\n"
    )


def test_files_of_an_unknown_distribution_are_an_error_too(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: [SimpleNamespace(name="torch", version="2.15")])
    message = trainer_command.explain_mixed_package("/packages/trainer")
    assert message.startswith("'/packages/trainer' contains files of another distribution, which has")
    assert message.endswith("pip uninstall hydra-lightning-trainer")


def test_this_project_has_no_module_that_is_taken_for_one_of_the_others():
    assert trainer_command.find_problem() is None
    assert trainer_command.OTHER_MODULE == "trainer.py"
    assert not (SOURCE / "trainer/trainer.py").exists()
