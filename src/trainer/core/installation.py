"""Commands that install the extras of this project, for the way in which it was installed. Imports no torch."""

import os
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from trainer.core.errors import display_path
from trainer.core.formatting import quote_argument
from trainer_command import DISTRIBUTION

CHECKOUT_ROOT = Path(__file__).resolve().parents[3]  # another directory if an installed wheel is used


def find_command() -> str:
    """Return the command of this package: `trainer` if the shell finds it, or else its path."""
    command = Path(sys.executable).with_name("trainer")
    found = which("trainer")
    is_found = found is not None and Path(found).resolve() == command.resolve()
    return "trainer" if is_found else quote_argument(display_path(command))


def format_install_command(extra: str) -> str:
    """Return the command that installs the packages of an optional feature into the environment of this process.

    Args:
        extra: Name in `[project.optional-dependencies]` of pyproject.toml, e.g. `"onnx"`.

    Returns:
        str: In a checkout, the command that installs the checkout with the extra; else one for the installed wheel.
    """
    if not (CHECKOUT_ROOT / "pyproject.toml").is_file():
        return f"{_format_installer()} '{DISTRIBUTION}[{extra}]'"
    checkout = "." if Path.cwd() == CHECKOUT_ROOT else CHECKOUT_ROOT
    return f"{_format_installer()} -e {quote_argument(f'{checkout}[{extra}]')}"


def _format_installer() -> str:
    """Return `pip install` or `uv pip install`, with the Python of this process unless its environment is active."""
    is_active = sys.prefix in (os.environ.get("VIRTUAL_ENV"), os.environ.get("CONDA_PREFIX"))
    python = quote_argument(sys.executable)
    if _read_installer() == "uv" and (which("uv") or not find_spec("pip")):
        return "uv pip install" if is_active else f"uv pip install --python {python}"
    return "pip install" if is_active else f"{python} -m pip install"


def _read_installer() -> str:
    """Return the program that has installed this project, as its metadata name it; "" if it is not installed."""
    try:
        return (distribution(DISTRIBUTION).read_text("INSTALLER") or "").strip()
    except PackageNotFoundError:  # imported from PYTHONPATH
        return ""
