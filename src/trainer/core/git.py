"""Calls of git that run no code of the repository: neither hooks nor programs that its settings name."""

import os
import subprocess
from pathlib import Path

SAFE_SETTINGS = (f"core.hooksPath={os.devnull}", "core.fsmonitor=false")
DIFF_OPTIONS = ("--no-ext-diff", "--no-textconv")  # of commands that compare files


def run_git(
    directory: Path, *arguments: str, stdin: str | None = None, timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run git in a directory and return its output as text, whether it has failed or not.

    Args:
        directory: Working directory of git.
        arguments: Command and options; a comparison needs `DIFF_OPTIONS`.
        stdin: Standard input. Defaults to none.
        timeout: Maximum duration in seconds. Defaults to 30.

    Raises:
        OSError: Git is not installed.
        subprocess.TimeoutExpired: Git did not end in time.
    """
    settings = [option for setting in SAFE_SETTINGS for option in ("-c", setting)]
    command = ["git", *settings, "-C", str(directory), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout)


def find_checkout_root(directory: Path) -> Path | None:
    """Return the root of the checkout that contains a directory, or None if there is none."""
    try:
        process = run_git(directory, "rev-parse", "--show-toplevel")
    except (OSError, subprocess.TimeoutExpired):
        return None
    root = process.stdout.strip()
    return Path(root) if process.returncode == 0 and root else None
