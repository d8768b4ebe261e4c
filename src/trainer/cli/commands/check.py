"""Look for mistakes in a run or a whole sweep, without running it.

trainer check [--json] WORDS...     e.g. trainer check experiment=mnist_cnn optimizer.lr=0.01
                                         trainer check -m model=mlp,cnn seed=1,2,3

WORDS are what would stand behind `trainer`. Every key, type, choice, reference, path, device and monitored metric is
looked at; everything is built, and one step is made on a made-up batch. No data are opened and nothing is written. All
mistakes are told, each with its key and the file and line it stands in. The exit status is 1 if a run would be refused.
"""

import json
import time

from rich.console import Console

from trainer.config.diagnostics import table
from trainer.sweep.preflight import check_words


def main(words: list[str]) -> int:
    """Check what stands behind `check`.

    Returns:
        int: 1 if a run would be refused, else 0.
    """
    began = time.monotonic()
    found = check_words([word for word in words if word != "--json"])
    if "--json" in words:
        told = {"ok": not found.stops, "jobs": found.jobs, "checked": found.checked}
        print(json.dumps({**told, "mistakes": [each.as_dict() for each in found.mistakes]}, indent=2))
        return int(found.stops)
    if found.mistakes:
        Console().print(table(found.mistakes))
    jobs = "1 run" if found.jobs == 1 else f"{found.jobs:,} jobs"
    seen = (
        "" if found.checked == found.jobs else f", of which {found.checked} were looked at: each value in one of them"
    )
    step = f"; a step of {found.facts['net']}, {found.facts['parameters']:,} parameters" if found.facts else ""
    state = f"{len(found.mistakes)} mistake(s)" if found.stops else f"no mistakes{step}"
    print(f"{jobs}{seen}: {state}  ({time.monotonic() - began:.1f} s)")
    return int(found.stops)
