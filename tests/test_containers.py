"""Dockerfile and development container have the versions, files and options of the project."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[1]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def list_instructions():
    """Return the instructions of the Dockerfile, each with its arguments on one line."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in text.splitlines() if line]


def read_devcontainer():
    text = (REPOSITORY / ".devcontainer/devcontainer.json").read_text()
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))


def test_the_image_has_a_supported_python_and_no_other_host():
    images = [arguments.split()[0] for name, arguments in list_instructions() if name == "FROM"]
    assert images == ["python:3.12-slim", "base"]
    assert "3.12" in SpecifierSet(PROJECT["requires-python"])
    assert "://" not in DOCKERFILE


def test_the_image_has_the_uv_of_the_makefile():
    versions = re.findall(r"uv==([\d.]+)", DOCKERFILE + MAKEFILE)
    assert len(versions) == 3
    assert len({*versions}) == 1


def test_the_commands_of_the_image_are_valid_for_the_shell():
    commands = [arguments for name, arguments in list_instructions() if name == "RUN"]
    assert len(commands) == 4
    for command in commands:
        result = subprocess.run(["sh", "-n"], input=command, capture_output=True, text=True)
        assert result.stderr == "", command


def test_the_image_contains_everything_that_the_wheel_is_built_from():
    copied = {source for name, arguments in list_instructions() if name == "COPY" for source in arguments.split()[:-1]}
    hatch = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {path.split("/")[0] for path in hatch["only-include"]} <= copied
    assert {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "constraints.txt"} <= copied
    assert all((REPOSITORY / source).exists() for source in copied)
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied


def test_an_instruction_of_the_dockerfile_is_one_of_docker():
    names = {name for name, _ in list_instructions()}
    assert names == {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}
    assert json.loads(dict(list_instructions())["ENTRYPOINT"]) == [*PROJECT["scripts"]]


def test_the_development_container_is_built_from_an_existing_stage_with_existing_options():
    container = read_devcontainer()
    build = container["build"]
    assert (REPOSITORY / ".devcontainer" / build["dockerfile"]).resolve() == REPOSITORY / "Dockerfile"
    assert f" AS {build['target']}\n" in DOCKERFILE
    assert all(f"\nARG {name}=" in DOCKERFILE for name in build["args"])
    make, target = container["postCreateCommand"].split()
    assert make == "make"
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("minor", range(11, 15))
def test_a_supported_version_of_python_is_listed_everywhere(minor):
    version = f"3.{minor}"
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]
    assert version in SpecifierSet(PROJECT["requires-python"])
    [found] = re.findall(r"\$\(foreach v,([\d. ]+),", MAKEFILE)
    assert version in found.split()


def test_the_range_of_python_versions_is_the_same_in_all_files():
    listed = [Version(text.rpartition(" ")[2]) for text in PROJECT["classifiers"] if "Python :: 3." in text]
    lowest, highest = min(listed), max(listed)
    assert PROJECT["requires-python"] == f">={lowest},<3.{highest.minor + 1}"
    assert f"(3, {lowest.minor}) <= v < (3, {highest.minor + 1})" in MAKEFILE
    for file in ("README.md", "docs/index.md", "docs/installation.md", "Makefile"):
        assert f"Python {lowest} to {highest}" in (REPOSITORY / file).read_text(), file
