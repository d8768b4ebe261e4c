"""Check a run or a whole sweep for errors without running it.

trainer check [--json] OVERRIDES...     e.g. trainer check experiment=mnist_cnn optimizer.lr=0.01
                                             trainer check -m model=mlp,cnn seed=1,2,3

OVERRIDES are the arguments of `trainer` for this run or sweep. Every key, type, choice, interpolation, path, device and
monitored metric is checked; all objects are built, and one step runs on a synthetic batch. No data are opened and
nothing is written. Each error is printed with its key, file and line. The exit status is 1 if the run would be refused.
"""

import json
import time

from rich.console import Console

from trainer.config.diagnostics import build_diagnostic_table
from trainer.sweeps.preflight import check_overrides


def main(argv: list[str]) -> int:
    """Run the command; return 1 if a run would be refused, else 0."""
    start = time.monotonic()
    report = check_overrides([arg for arg in argv if arg != "--json"])
    if "--json" in argv:
        summary = {"ok": not report.has_errors, "jobs": report.jobs, "checked": report.checked_jobs}
        print(json.dumps({**summary, "diagnostics": [item.as_dict() for item in report.diagnostics]}, indent=2))
        return int(report.has_errors)
    if report.diagnostics:
        Console().print(build_diagnostic_table(report.diagnostics))
    jobs = "1 run" if report.jobs == 1 else f"{report.jobs:,} jobs"
    if report.checked_jobs != report.jobs:
        jobs += f", {report.checked_jobs} of them checked (each value in one of them)"
    step = f"; a step of {report.facts['net']}, {report.facts['parameters']:,} parameters" if report.facts else ""
    result = f"{len(report.diagnostics)} error(s)" if report.has_errors else f"no errors{step}"
    print(f"{jobs}: {result}  ({time.monotonic() - start:.1f} s)")
    return int(report.has_errors)
