"""Entry point of the command `trainer`, which refuses to start if another distribution has replaced files of it.

`trainer` on the package index and its fork `coqui-tts-trainer` also contain a package `trainer`. This module is outside
the package, so that it can be imported even if the package is theirs.
"""

import os
import sys
from importlib.util import find_spec

DISTRIBUTION = "hydra-lightning-trainer"
OTHER_DISTRIBUTIONS = ("trainer", "coqui-tts-trainer")
OTHER_MODULE = "trainer.py"  # in the package `trainer` of each of them, and not in this one


def main() -> None:
    """Run the command line, unless files of two distributions are mixed or files are missing.

    Raises:
        SystemExit: Always: the exit status, or a message about the other distribution.
    """
    if problem := find_problem():
        sys.exit(f"error: {problem}")
    from trainer.cli.main import main as run

    run()


def find_problem() -> str | None:
    """Return a message if the package `trainer` is not the one of this distribution, else None."""
    spec = find_spec("trainer")
    directories = (spec and spec.submodule_search_locations) or []
    for directory in directories:
        if os.path.exists(os.path.join(directory, OTHER_MODULE)):
            return explain_mixed_package(directory)
    if spec and spec.origin:  # a directory without __init__.py has no origin
        return None
    return (
        "files of the package 'trainer' are missing; another distribution of that import name may have been removed\n"
        f"  install this one again, after: pip uninstall {DISTRIBUTION}"
    )


def explain_mixed_package(directory: str) -> str:
    """Return the message that names the other distribution and the way to remove it."""
    from importlib.metadata import distributions  # slow, and needed only for this message

    installed = {distribution.name: distribution.version for distribution in distributions()}
    others = [name for name in OTHER_DISTRIBUTIONS if name in installed]
    names = " and ".join(f"'{name}' {installed[name]}" for name in others) or "another distribution"
    return (
        f"'{directory}' contains files of {names}, which has the same import name as this one, '{DISTRIBUTION}'\n"
        f"  use a new environment, or remove both and then install this one again:"
        f" pip uninstall {' '.join([*others, DISTRIBUTION])}"
    )
