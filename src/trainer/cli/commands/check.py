"""Check a run or a whole sweep for errors without running it.

trainer check OVERRIDES... [--trusted-only] [--json]     e.g. trainer check experiment=mnist_cnn optimizer.lr=0.01
                                                              trainer check -m model=mlp,cnn seed=1,2,3

OVERRIDES are the arguments of `trainer` for this run or sweep. Every key, type, choice, interpolation, path, device and
monitored metric is checked; all objects are built, and one step runs on a synthetic batch. No data are opened and
nothing is written. Each error is printed with its key, file and line. The exit status is 1 if the run would be refused.

--trusted-only  refuse a config that names other code than the trusted packages and those in TRAINER_TRUST, before it
                is imported; by default your own code runs when its objects are built
"""

import time
from dataclasses import dataclass
from typing import Literal

from rich.console import Console

from trainer.cli.json_output import JSON_FLAG, JsonOutputs, print_json
from trainer.config.diagnostics import Diagnostic, build_diagnostic_table
from trainer.sweeps.preflight import check_overrides


@dataclass(frozen=True)
class ListedDiagnostic:
    """An error or a warning about a config.

    Args:
        key: Dotted key; "" if the problem belongs to no key.
        severity: A run with an error is refused; one with warnings starts.
        problem: Description of the problem.
        suggestion: Possible fix; "" if there is none.
        file: File that sets the value; null if none does.
        line: Line of the file, from 1.
        override: Override that sets the value; null if none does.
        jobs: Numbers of the affected jobs of a sweep; empty for a single run.
    """

    key: str
    severity: Literal["error", "warning"]
    problem: str
    suggestion: str
    file: str | None
    line: int | None
    override: str | None
    jobs: list[int]


@dataclass(frozen=True)
class CheckResult:
    """Result of a check.

    Args:
        ok: Whether the run or the sweep would start; the exit status is 0 then, and otherwise 1.
        jobs: Number of jobs.
        checked: Number of checked jobs; in a large sweep each value is in one of them.
        diagnostics: Errors and warnings.
    """

    ok: bool
    jobs: int
    checked: int
    diagnostics: list[ListedDiagnostic]


TRUSTED_ONLY_FLAG = "--trusted-only"
JSON_OUTPUTS: JsonOutputs = {"check": (CheckResult, "The result, also if there are errors.")}


def main(argv: list[str]) -> int:
    """Run the command; return 1 if a run would be refused, else 0."""
    start = time.monotonic()
    overrides = [arg for arg in argv if arg not in (JSON_FLAG, TRUSTED_ONLY_FLAG)]
    report = check_overrides(overrides, trusted_only=TRUSTED_ONLY_FLAG in argv)
    if JSON_FLAG in argv:
        diagnostics = [list_diagnostic(item) for item in report.diagnostics]
        print_json(CheckResult(not report.has_errors, report.jobs, report.checked_jobs, diagnostics))
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


def list_diagnostic(diagnostic: Diagnostic) -> ListedDiagnostic:
    """Return the entry of a diagnostic."""
    location = diagnostic.location
    return ListedDiagnostic(
        key=diagnostic.key,
        severity="error" if diagnostic.is_error else "warning",
        problem=diagnostic.problem,
        suggestion=diagnostic.suggestion,
        file=location.file if location else None,
        line=(location.line or None) if location else None,
        override=location.override if location else None,
        jobs=[*diagnostic.jobs],
    )
