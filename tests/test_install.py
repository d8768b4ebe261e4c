"""Wheel installed in a new environment, run in an empty directory together with an external package."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

REPOSITORY = Path(__file__).resolve().parents[1]
EXTERNAL = REPOSITORY / "tests/external_project"


def build_wheel(project: Path, directory: Path) -> Path:
    """Build the wheel of a project with the build backend of this environment."""
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(directory)]
    subprocess.run([*pip, str(project)], check=True, timeout=120)
    [wheel] = directory.glob(f"{project.name if project is EXTERNAL else 'hydra_lightning_trainer'}-*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(REPOSITORY, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return the bin directory of a new environment with our wheel, the external package and the dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False)
    python = environment / "bin/python"
    wheels = [wheel, build_wheel(EXTERNAL, tmp_path_factory.mktemp("external"))]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, *map(str, wheels)], check=True, timeout=120)
    # Python searches the path in a .pth file, but does not read the .pth files there (our editable install)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def run_program(installed: Path, directory: Path, program: str, *arguments: str) -> str:
    excluded = ("PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in excluded}
    result = subprocess.run(
        [installed / program, *arguments], cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def run(installed: Path, directory: Path, *arguments: str) -> str:
    return run_program(installed, directory, "trainer", *arguments)


@pytest.mark.slow
def test_the_wheel_contains_every_config_and_only_our_packages(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for directory in ("conf", "experiments"):
        for file in (REPOSITORY / directory).rglob("*.yaml"):
            assert f"trainer/_data/{file.relative_to(REPOSITORY)}" in names
    assert "trainer/data/digits.csv.gz" in names
    assert "trainer/py.typed" in names
    top_level = {name.split("/")[0].split("-")[0] for name in names}
    assert top_level == {"trainer", "trainer_command.py", "hydra_plugins", "hydra_lightning_trainer"}
    plugins = {name for name in names if name.startswith("hydra_plugins/")}
    assert plugins == {"hydra_plugins/trainer_sweeper/__init__.py"}


@pytest.mark.slow
def test_the_metadata_of_the_wheel_are_valid(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [file] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Metadata.from_email(archive.read(file))  # raises an error if a field is invalid
    assert metadata.name == "hydra-lightning-trainer"
    assert metadata.description_content_type == "text/markdown"


@pytest.mark.slow
def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, timeout=120, capture_output=True)
    [archive] = tmp_path.glob("hydra_lightning_trainer-*.tar.gz")
    shutil.unpack_archive(archive, tmp_path, filter="data")
    rebuilt = build_wheel(tmp_path / archive.name.removesuffix(".tar.gz"), tmp_path / "wheels")
    contents = [{item.filename: item.CRC for item in zipfile.ZipFile(file).infolist()} for file in (wheel, rebuilt)]
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_an_installed_wheel_names_the_command_that_adds_an_extra(installed, tmp_path):
    script = "from trainer.core.installation import format_install_command; print(format_install_command('onnx'))"
    output = run_program(installed, tmp_path, "python", "-c", script)
    assert output == f"{installed / 'python'} -m pip install 'hydra-lightning-trainer[onnx]'\n"


@pytest.mark.slow
def test_an_installed_wheel_trains_in_an_empty_directory(installed, tmp_path):
    file = run_program(installed, tmp_path, "python", "-c", "import trainer; print(trainer.__file__)")
    assert file.startswith(str(installed.parent))
    run(installed, tmp_path, "experiment=digits_cnn", "trainer.max_epochs=1")
    [file] = tmp_path.glob("outputs/digits_cnn/*/result.json")
    assert json.loads(file.read_text())["state"] == "finished"


@pytest.mark.slow
def test_an_external_package_adds_its_own_data_and_model(installed, tmp_path):
    search_path = "hydra.searchpath=[pkg://external_project.conf]"
    run(installed, tmp_path, search_path, "data=spiral", "model=sine_net", "trainer.max_epochs=40", "optimizer.lr=0.01")
    [file] = tmp_path.glob("outputs/spiral_sine_net/*/result.json")
    assert json.loads(file.read_text())["metrics"]["test/accuracy"] > 0.9
    # each also works with a built-in part
    run(installed, tmp_path, search_path, "data=spiral", "model=mlp", "trainer.max_epochs=1")
    run(installed, tmp_path, search_path, "data=line", "model=sine_net", "trainer.max_epochs=1")


@pytest.mark.slow
def test_an_installed_wheel_describes_its_own_and_external_classes(installed, tmp_path):
    data = "data=cifar10 data=digits data=emnist data=fashion_mnist data=image_folder data=kmnist data=mnist"
    assert f"goes with     {data}\n" in run(installed, tmp_path, "describe", "model/cnn")
    assert "  width=64   int\n" in run(installed, tmp_path, "describe", "external_project.spiral.SineNet")
    run(installed, tmp_path, "schema")
    assert (tmp_path / "schemas/experiment.json").is_file()
