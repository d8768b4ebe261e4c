"""The wheel: installed in another environment and run in an empty directory, beside somebody else's package."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
EXTERNAL = REPOSITORY / "tests/external_project"


def build(project: Path, into: Path) -> Path:
    """A project's wheel, built with the build backend of this environment."""
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(into)]
    subprocess.run([*pip, str(project)], check=True, timeout=120)
    [wheel] = into.glob(f"{project.name if project is EXTERNAL else 'trainer'}-*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(REPOSITORY, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment's bin folder: our wheel and the external package, and this environment's dependencies."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin/python"
    wheels = [wheel, build(EXTERNAL, tmp_path_factory.mktemp("external"))]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, *map(str, wheels)], check=True, timeout=120)
    # a plain path in a .pth file is searched, but its own .pth files (our editable install) are not read
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def run(installed: Path, directory: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(
        [installed / "trainer", *arguments], cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.slow
def test_the_wheel_carries_every_config_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("conf", "experiments"):
        for file in (REPOSITORY / folder).rglob("*.yaml"):
            assert f"trainer/_data/{file.relative_to(REPOSITORY)}" in names
    assert "trainer/data/digits.csv.gz" in names
    assert "trainer/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"trainer", "hydra_plugins"}
    plugins = {name for name in names if name.startswith("hydra_plugins/")}
    assert plugins == {"hydra_plugins/trainer_sweeper/__init__.py"}


@pytest.mark.slow
def test_an_installed_wheel_trains_in_an_empty_directory(installed, tmp_path):
    where = subprocess.run(
        [installed / "python", "-c", "import trainer; print(trainer.__file__)"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert where.stdout.startswith(str(installed.parent))
    run(installed, tmp_path, "experiment=digits_cnn", "trainer.max_epochs=1")
    [result] = tmp_path.glob("outputs/digits_cnn/*/result.json")
    assert json.loads(result.read_text())["state"] == "finished"


@pytest.mark.slow
def test_somebody_elses_package_brings_its_own_data_and_model(installed, tmp_path):
    search = "hydra.searchpath=[pkg://external_project.conf]"
    run(installed, tmp_path, search, "data=spiral", "model=sine_net", "trainer.max_epochs=40", "optimizer.lr=0.01")
    [result] = tmp_path.glob("outputs/spiral_sine_net/*/result.json")
    assert json.loads(result.read_text())["metrics"]["test/accuracy"] > 0.9
    # and each goes with ours
    run(installed, tmp_path, search, "data=spiral", "model=mlp", "trainer.max_epochs=1")
    run(installed, tmp_path, search, "data=line", "model=sine_net", "trainer.max_epochs=1")


@pytest.mark.slow
def test_an_installed_wheel_describes_what_it_brings_and_what_others_have_installed(installed, tmp_path):
    assert "goes with  data=cifar10 data=digits data=image_folder data=mnist\n" in run(
        installed, tmp_path, "describe", "model/cnn"
    )
    assert "  width=64   int\n" in run(installed, tmp_path, "describe", "external_project.spiral.SineNet")
    run(installed, tmp_path, "schema")
    assert (tmp_path / "schemas/experiment.json").is_file()
