"""Provenance: which command, code, packages and machine a run came from."""

import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import trainer
from trainer.core.cpu import cores

LARGEST_NEW_FILE = 100_000  # bytes
MOST_NEW_FILES = 100
CHECKOUT = "# checkout "  # before the root of each, in a diff; git leaves such lines alone


def provenance() -> tuple[dict[str, Any], str]:
    """Where this process came from.

    Returns:
        dict: For JSON: command, working directory, git state of the code, package versions, machine.
        str: A diff of the uncommitted changes, for `git apply`; "" where there are none.
    """
    own, here = _git(Path(trainer.__file__).parent), _git(Path.cwd())
    places = {place["root"]: place for place in (own, here) if place}
    diffs = {place["root"]: place.pop("diff") for place in places.values()}
    diff = "".join(f"{CHECKOUT}{root}\n{text}" for root, text in diffs.items() if text)
    facts = {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "directory": str(Path.cwd()),
        "trainer": trainer.__version__,
        "git": list(places.values()),
        "python": platform.python_version(),
        "packages": packages(),
        "machine": _machine(),
    }
    return facts, diff


@cache
def packages() -> dict[str, str]:
    """Versions of the installed packages, by name; asked once, as it means reading a file of each."""
    versions = {}
    for dist in distributions():
        # the head alone, without the long description behind it, which the `metadata` of a distribution reads each time
        head = (dist.read_text("METADATA") or dist.read_text("PKG-INFO") or "").partition("\n\n")[0]
        facts = dict(line.split(": ", 1) for line in head.splitlines() if line.startswith(("Name: ", "Version: ")))
        if facts.keys() == {"Name", "Version"}:
            versions[facts["Name"]] = facts["Version"]
    return dict(sorted(versions.items(), key=lambda item: item[0].lower()))


def _machine() -> dict[str, Any]:
    torch = sys.modules.get("torch")  # a run has imported it; asking where things come from must not
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "threads": torch.get_num_threads() if torch else None,
        "gpus": gpus,
        "cuda": torch.version.cuda if torch and gpus else None,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _git(directory: Path) -> dict[str, Any] | None:
    """Root, commit, changed files and diff of the checkout around a directory; None where there is none."""

    def ask(*question: str) -> str:
        answer = subprocess.run(
            ["git", "-C", str(directory), *question],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
        )
        return answer.stdout if answer.returncode in (0, 1) else ""  # 1: `diff --no-index` found a difference

    def new_files(root: str) -> str:
        """Code that git does not know yet, as a diff; what runs leave behind is no code."""
        kinds = ["*.py", "*.yaml", "*.toml", ":!:outputs", ":!:multirun"]
        names = ask("-C", root, "ls-files", "--others", "--exclude-standard", "-z", "--", *kinds).split("\0")
        files = [name for name in names if name and Path(root, name).is_file()]  # a link may lead nowhere
        small = [name for name in files if Path(root, name).stat().st_size <= LARGEST_NEW_FILE]
        diffs = (
            ask("-C", root, "diff", "--no-index", "--binary", "/dev/null", name) for name in small[:MOST_NEW_FILES]
        )
        return "".join(diffs)

    try:
        root = ask("rev-parse", "--show-toplevel").strip()
        if not root or not ask("ls-files", "--", str(directory)):  # the checkout must hold what lies here
            return None
        commit, _, branch = ask("rev-parse", "HEAD", "--abbrev-ref", "HEAD").strip().partition("\n")
        changed = ask("status", "--porcelain", "--untracked-files=normal").splitlines()
        diff = ask("diff", "HEAD", "--binary") + new_files(root) if changed else ""
        return {"root": root, "commit": commit or None, "branch": branch, "changed": changed, "diff": diff}
    except (OSError, subprocess.TimeoutExpired):  # no git on this machine, or a checkout too large to ask
        return None
