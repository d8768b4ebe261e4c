"""The command `trainer`: composes a config and runs it; imports no torch by itself, so that --help answers at once."""

import os
import secrets
import sys
import traceback
from typing import Any

from trainer import __version__
from trainer.cli.commands import in_full, is_command, run_command
from trainer.core.errors import UserError, leaving_quietly
from trainer.core.lazy_imports import late_imports
from trainer.core.rank import is_alone, lead


def main() -> None:
    """Run the command line; ends the process with 0 if all went well, 1 or 2 if not, 130 after Ctrl-C."""
    arguments = in_full(sys.argv[1:])
    with leaving_quietly():
        if "--version" in arguments:
            print(f"trainer {__version__}")
        elif {"-m", "--multirun"} & {*arguments} and {"-c", "--cfg"} & {*arguments}:
            sys.exit("error: --cfg shows the config of one job; leave --multirun and all values but one out")
        elif arguments and is_command(arguments[0]):
            sys.exit(run_command(arguments[0], arguments[1:]))
        elif "-h" in arguments or "--help" in arguments:
            from trainer.cli.help import usage

            print(usage())
        else:
            sys.exit(compose_and_run() if is_alone() else lead(compose_and_run))


def compose_and_run() -> int:
    """Do what `sys.argv` says, a run or a sweep, and return the exit status; a mistake has been told."""
    import hydra

    from trainer.cli.messages import message, refuse_wrong
    from trainer.config.schema import HOME, register, shadowed

    sys.path.append(os.getcwd())  # `_target_: my_code.Net` works for a file in the working directory
    os.environ["TRAINER_RUN_SUFFIX"] = secrets.token_hex(3)
    # threads that wait give their core up soon: beside other work a run on all cores is then not many times slower
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    wants_traceback = "HYDRA_FULL_ERROR" in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands us every error, so that all are told in one way
    register()
    for file in shadowed():
        print(f"warning: {file} is not used: trainer has a file of that name; rename it", file=sys.stderr)
    try:
        if {"-m", "--multirun"} & {*sys.argv}:  # no job begins while another is wrong
            refuse_wrong(sys.argv[1:])
        hydra.main(config_path=str(HOME / "conf"), config_name="config", version_base="1.3")(job)()
    except Exception as error:
        told = None if wants_traceback else message(error, sys.argv[1:])
        traceback.print_exception(error) if told is None else print(f"error: {told}", file=sys.stderr)
        return 1
    return 0


def job(config: Any) -> Any:
    """One job of a run or a sweep; what the user can mend is told without a traceback."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    with late_imports():
        from trainer.training.run import run

    try:
        return run(config)
    except UserError as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # the other jobs of a sweep go on
            raise
        raise SystemExit(f"error: {error}") from error
