"""Install commands in messages and pages fit the installation and name no foreign package."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from trainer.core import installation
from trainer.core.installation import CHECKOUT_ROOT, DISTRIBUTION, find_command, format_install_command

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *REPOSITORY.glob("*/*.md"),
    *REPOSITORY.glob("docs/*.md"),
]
FILES = [*PAGES, *REPOSITORY.glob("src/**/*.py"), *REPOSITORY.glob("conf/**/*.yaml"), *REPOSITORY.glob("experiments/*")]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_no_message_and_no_page_installs_this_package_by_its_name_from_an_index():
    by_name = re.compile(r"pip install[^`\n#]*?['\" ]trainer\b")
    lines = [f"{file.name}: {line}" for file in FILES for line in file.read_text().splitlines() if by_name.search(line)]
    assert by_name.search("pip install 'trainer[onnx]'")
    assert by_name.search("uv pip install -U trainer")
    assert lines == []


def test_all_extras_in_messages_and_pages_exist():
    named = {
        extra
        for file in FILES
        for extra in re.findall(r"(?:\.\[|trainer\[|install_command\([\"'])(\w+)[\]\"']", file.read_text())
    }
    assert {"onnx", "ray", "search", "slurm"} <= named
    assert named <= EXTRAS.keys()


def test_the_page_on_installation_lists_the_extras_of_users():
    page = (REPOSITORY / "docs/installation.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == EXTRAS.keys() - {"docs", "dev"}


def test_the_distribution_has_the_name_that_pyproject_defines():
    assert PROJECT["name"] == DISTRIBUTION
    assert PROJECT["scripts"] == {"trainer": "trainer_command:main"}
    assert any(line.startswith(f"{DISTRIBUTION}[docs,") for line in EXTRAS["dev"])


def test_the_command_is_a_name_if_the_shell_finds_it(monkeypatch, tmp_path):
    command = tmp_path / "bin/trainer"
    monkeypatch.setattr(sys, "executable", str(command.with_name("python")))
    monkeypatch.setattr(installation, "which", lambda name: str(command))
    assert find_command() == "trainer"
    for found in (None, "/other/trainer"):
        monkeypatch.setattr(installation, "which", lambda name, found=found: found)
        assert find_command() == str(command)
    monkeypatch.chdir(tmp_path)
    assert find_command() == "bin/trainer"


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Simulate an active environment in /env, in which pip has installed the checkout."""
    monkeypatch.setattr(installation, "_read_installer", lambda: "pip")
    monkeypatch.setattr(installation, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(installation, "find_spec", lambda name: name)
    monkeypatch.setattr(sys, "prefix", "/env")
    monkeypatch.setattr(sys, "executable", "/env/bin/python")
    monkeypatch.setenv("VIRTUAL_ENV", "/env")
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_in_a_checkout_the_command_installs_that_checkout_with_the_extra(environment):
    assert format_install_command("onnx") == f"pip install -e '{CHECKOUT_ROOT}[onnx]'"
    environment.chdir(CHECKOUT_ROOT)
    assert format_install_command("onnx") == "pip install -e '.[onnx]'"


def test_for_an_installed_wheel_the_command_names_the_distribution(environment, tmp_path):
    environment.setattr(installation, "CHECKOUT_ROOT", tmp_path)
    assert format_install_command("onnx") == "pip install 'hydra-lightning-trainer[onnx]'"


def test_the_command_uses_the_installer_that_has_installed_the_project(environment, tmp_path):
    environment.setattr(installation, "CHECKOUT_ROOT", tmp_path)
    environment.setattr(installation, "_read_installer", lambda: "uv")
    assert format_install_command("ray") == "uv pip install 'hydra-lightning-trainer[ray]'"
    environment.setattr(installation, "which", lambda name: None)  # uv was used in an image and removed
    assert format_install_command("ray") == "pip install 'hydra-lightning-trainer[ray]'"
    environment.setattr(installation, "find_spec", lambda name: None)
    assert format_install_command("ray") == "uv pip install 'hydra-lightning-trainer[ray]'"


def test_the_command_names_the_python_of_an_environment_that_is_not_active(environment, tmp_path):
    environment.setattr(installation, "CHECKOUT_ROOT", tmp_path)
    environment.delenv("VIRTUAL_ENV")
    assert format_install_command("ray") == "/env/bin/python -m pip install 'hydra-lightning-trainer[ray]'"
    environment.setattr(installation, "_read_installer", lambda: "uv")
    assert format_install_command("ray") == "uv pip install --python /env/bin/python 'hydra-lightning-trainer[ray]'"
    environment.setenv("CONDA_PREFIX", "/env")
    assert format_install_command("ray") == "uv pip install 'hydra-lightning-trainer[ray]'"


def test_the_installer_is_read_from_the_metadata(monkeypatch, tmp_path):
    metadata = tmp_path / "hydra_lightning_trainer-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: hydra-lightning-trainer\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert installation._read_installer() == ""
    (metadata / "INSTALLER").write_text("uv\n")
    assert installation._read_installer() == "uv"
    monkeypatch.setattr(installation, "DISTRIBUTION", "not-installed")
    assert installation._read_installer() == ""
