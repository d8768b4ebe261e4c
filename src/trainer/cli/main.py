"""Entry point of the command `trainer`. Imports no torch itself, so that --help is fast."""

import os
import secrets
import sys
import traceback
from typing import Any

from trainer import __version__
from trainer.cli.commands import expand_plan_option, explain_unknown_command, is_command, run_command
from trainer.config.import_path import add_packages_of_search_path
from trainer.core.errors import UserError, exit_without_traceback
from trainer.core.lazy_imports import lazy_imports
from trainer.core.rank import dispatch_by_rank, is_single_process
from trainer.core.signals import default_sigint_at_exit
from trainer.core.standard_streams import open_standard_streams


def main() -> None:
    """Run the command line; exit with 0 on success, 1 or 2 after an error, 130 after Ctrl-C."""
    open_standard_streams()
    arguments = expand_plan_option(sys.argv[1:])
    add_packages_of_search_path(arguments)
    with default_sigint_at_exit(), exit_without_traceback():
        if "--version" in arguments:
            print(f"trainer {__version__}")
        elif {"-m", "--multirun"} & {*arguments} and {"-c", "--cfg"} & {*arguments}:
            sys.exit("error: --cfg prints the config of a single job; leave out --multirun and all values but one")
        elif arguments and is_command(arguments[0]):
            sys.exit(run_command(arguments[0], arguments[1:]))
        elif arguments and (problem := explain_unknown_command(arguments[0])):
            sys.exit(f"error: {problem}")
        elif "-h" in arguments or "--help" in arguments:
            from trainer.cli.help import format_help

            print(format_help())
        else:
            sys.exit(compose_and_run() if is_single_process() else dispatch_by_rank(compose_and_run))


def compose_and_run() -> int:
    """Run the config or the sweep of `sys.argv`; print errors and return the exit status."""
    import hydra

    from trainer.cli.messages import print_error, validate_overrides
    from trainer.config.command_line import sort_arguments
    from trainer.config.schema import RESOURCE_DIR, find_shadowed_files, register_hydra_plugins

    os.environ["TRAINER_RUN_SUFFIX"] = secrets.token_hex(3)
    # waiting threads release their core early; otherwise a run is many times slower if other processes use the cores
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    wants_traceback = "HYDRA_FULL_ERROR" in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises every error instead of printing it
    register_hydra_plugins()
    for file in find_shadowed_files():
        print(f"warning: {file} is ignored because trainer has a file of that name; rename it", file=sys.stderr)
    try:
        sys.argv[1:] = sort_arguments(sys.argv[1:])
        if {"-m", "--multirun"} & {*sys.argv}:  # no job starts if another one is invalid
            validate_overrides(sys.argv[1:])
        hydra.main(config_path=str(RESOURCE_DIR / "conf"), config_name="config", version_base="1.3")(run_job)()
    except Exception as error:
        traceback.print_exception(error) if wants_traceback else print_error(error, sys.argv[1:])
        return 1
    return 0


def run_job(config: Any) -> Any:
    """Run one config; errors of the user are printed without a traceback."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    with lazy_imports():
        from trainer.training.run import run

    try:
        return run(config)
    except UserError as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # the other jobs of a sweep continue
            raise
        raise SystemExit(f"error: {error}") from error
