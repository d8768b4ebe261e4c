"""Install commands in messages and pages work from a checkout and name no foreign package."""

import re
import tomllib
from pathlib import Path

import pytest

from trainer.core import optional_packages
from trainer.core.optional_packages import CHECKOUT_ROOT, format_install_command

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *REPOSITORY.glob("*/*.md"),
    *REPOSITORY.glob("docs/*.md"),
]
FILES = [*PAGES, *REPOSITORY.glob("src/**/*.py"), *REPOSITORY.glob("conf/**/*.yaml"), *REPOSITORY.glob("experiments/*")]
EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]


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
        for extra in re.findall(r"(?:\.\[|install_command\([\"'])(\w+)[\]\"']", file.read_text())
    }
    assert {"onnx", "ray", "search", "slurm", "parallel", "vision"} <= named
    assert named <= EXTRAS.keys()


def test_in_a_checkout_the_command_installs_the_extra_of_that_checkout(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert format_install_command("vision") == f"cd '{CHECKOUT_ROOT}' && pip install -e '.[vision]'"
    monkeypatch.chdir(CHECKOUT_ROOT)
    assert format_install_command("vision") == "pip install -e '.[vision]'"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_for_an_installed_wheel_the_command_installs_the_packages_themselves(quote, monkeypatch, tmp_path):
    declared = [
        "torch>=2.11",
        *(f"{name}; extra == {quote}{extra}{quote}" for extra in EXTRAS for name in EXTRAS[extra]),
    ]
    monkeypatch.setattr(optional_packages, "CHECKOUT_ROOT", tmp_path)
    monkeypatch.setattr(optional_packages, "requires", {"trainer": declared}.get)
    assert format_install_command("vision") == "pip install 'torchvision>=0.26'"
    assert format_install_command("search") == "pip install 'optuna>=5,<6' 'cmaes>=0.11,<1'"
