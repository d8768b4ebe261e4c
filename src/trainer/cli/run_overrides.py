"""Run of a command line in a process that runs several, such as the worker process of a fused sweep."""

from functools import cache

from trainer.cli.main import run_job
from trainer.cli.messages import print_error
from trainer.config.command_line import parse_command_line
from trainer.config.compose import Composer
from trainer.config.hydra_job import compose_run, run_hydra_job
from trainer.core.errors import exit_without_traceback


def run_overrides(arguments: list[str]) -> int:
    """Run a config as the command `trainer` does; return the exit status.

    Args:
        arguments: Overrides and options of the command line.

    Raises:
        SystemExit: The run has ended with an error of the user, or was interrupted.
    """
    options = parse_command_line(arguments)
    composer = get_composer(options.config_dir)
    try:
        with exit_without_traceback():
            job = run_hydra_job(run_job, compose_run(composer, options.overrides), composer.loader)
            _ = job.return_value  # raises the exception of a failed run
    except Exception as error:
        print_error(error, arguments)
        return 1
    return 0


@cache
def get_composer(config_dir: str | None) -> Composer:
    """Return the composer of this process for a directory of configs; it composes equal choices once."""
    return Composer(config_dir)
