"""Optional packages, and the command that installs them. Imports no torch."""

from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

DISTRIBUTION = "trainer"  # its name in the environment; no index has it yet, so no advice may name it
CHECKOUT = Path(__file__).resolve().parents[3]  # in an installed wheel this is another directory


def install_command(extra: str) -> str:
    """Return the command that installs what an optional feature needs.

    Args:
        extra: Name in `[project.optional-dependencies]` of pyproject.toml, e.g. `"vision"`.

    Returns:
        str: In a checkout, the command that installs the extra; else one that installs its packages.
    """
    if (CHECKOUT / "pyproject.toml").is_file():
        before = "" if Path.cwd() == CHECKOUT else f"cd '{CHECKOUT}' && "
        return f"{before}pip install -e '.[{extra}]'"
    return f"pip install {' '.join(map(repr, _packages(extra)))}"


def _packages(extra: str) -> list[str]:
    """Return the requirements of an extra, as the installed distribution declares them."""
    try:
        declared = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        declared = []
    pairs = (line.partition(";") for line in declared)
    return [name.strip() for name, _, marker in pairs if marker.replace('"', "'").strip() == f"extra == '{extra}'"]
