"""Test a checkpoint with its own config on the test split of its data, in a new run directory.

trainer test CHECKPOINT [data.dir=/elsewhere] [trainer.accelerator=cpu] [OVERRIDES...] [--trust my_package]
             [--json]

CHECKPOINT  a .ckpt file, or a run directory (its best checkpoint)
OVERRIDES   values of the config to change; the data directory is the environment variable TRAINER_DATA_DIR, or else the
            directory that the run used
--trust     comma-separated packages of yours whose code the checkpoint names
"""

from dataclasses import dataclass
from pathlib import Path

from trainer.api.run import Run
from trainer.api.train import test
from trainer.cli.commands import parse_arguments
from trainer.cli.json_output import JsonOutputs, print_json


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Args:
        directory: Run directory.
        metrics: Final metrics by name, such as `test/accuracy`; null if a value was not finite.
        checkpoint: Best checkpoint; null if no checkpoint was saved.
    """

    directory: Path
    metrics: dict[str, float | None]
    checkpoint: Path | None


JSON_OUTPUTS: JsonOutputs = {"test": (FinishedRun, "The run of the test.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("test", argv, "checkpoint", "overrides*", trust="", json=False)
    run = test(args.checkpoint, *args.overrides, trust=args.trust)
    if args.json:
        print_json(summarize_run(run))
    return 0


def summarize_run(run: Run) -> FinishedRun:
    """Return the results of a run."""
    return FinishedRun(run.directory, run.metrics, run.checkpoint)
