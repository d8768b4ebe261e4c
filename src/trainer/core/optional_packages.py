"""Optional packages and the command that installs them. Imports no torch."""

from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

DISTRIBUTION = "trainer"  # not on PyPI, so no message may tell users to install it by this name
CHECKOUT_ROOT = Path(__file__).resolve().parents[3]  # another directory if an installed wheel is used


def format_install_command(extra: str) -> str:
    """Return the command that installs the packages of an optional feature.

    Args:
        extra: Name in `[project.optional-dependencies]` of pyproject.toml, e.g. `"vision"`.

    Returns:
        str: In a checkout, the command that installs the extra; else one that installs its packages.
    """
    if (CHECKOUT_ROOT / "pyproject.toml").is_file():
        cd = "" if Path.cwd() == CHECKOUT_ROOT else f"cd '{CHECKOUT_ROOT}' && "
        return f"{cd}pip install -e '.[{extra}]'"
    return f"pip install {' '.join(map(repr, _read_requirements(extra)))}"


def _read_requirements(extra: str) -> list[str]:
    """Return the requirements of an extra, as the installed distribution declares them."""
    try:
        declared = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        declared = []
    pairs = (line.partition(";") for line in declared)
    return [name.strip() for name, _, marker in pairs if marker.replace('"', "'").strip() == f"extra == '{extra}'"]
