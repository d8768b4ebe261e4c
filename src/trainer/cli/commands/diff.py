"""Compare the configs of two experiments, command lines or finished runs.

trainer diff A B [--json]     e.g. trainer diff mnist_cnn mnist_tutorial
                                   trainer diff "model=cnn optimizer.lr=0.1" outputs/digits_cnn/RUN

A and B are each the name of an experiment, the overrides of a command line in quotes, or a run directory.
Interpolations are resolved; the paths of the run directories are ignored.
"""

import shlex
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from trainer.artifacts.fingerprint import relative_paths
from trainer.artifacts.run_record import read_run
from trainer.cli.commands import format_value, parse_arguments, print_table
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.config.compose import Composer
from trainer.core.mappings import diff_mappings, flatten

JSON_OUTPUTS: JsonOutputs = {
    "diff": (dict[str, tuple[Any, Any]], 'Values in A and in B by dotted key, without equal ones; "-" if it is absent.')
}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0 for equal and for different configs."""
    args = parse_arguments("diff", argv, "a", "b", json=False)
    differences = diff_mappings(load_flat_config(args.a), load_flat_config(args.b))
    if args.json:
        print_json(differences)
    elif not differences:
        print("no difference")
    else:
        print_table(["key", args.a, args.b], [[key, *map(format_value, pair)] for key, pair in differences.items()])
    return 0


def load_flat_config(source: str) -> dict[str, Any]:
    """Return the values of a config by dotted key.

    Args:
        source: Name of an experiment, overrides separated by spaces, or a run directory.

    Raises:
        UserError: It is none of these, or the config has errors.
    """
    if Path(source).is_dir():
        return flatten(relative_paths(read_run(source).nested_config, Path(source), Path(source).absolute()))
    overrides = shlex.split(source)
    if len(overrides) == 1 and "=" not in source:
        overrides = [f"experiment={source}"]
    config = Composer().compose_checked(overrides)
    values = {
        str(key): OmegaConf.to_container(config[key], resolve=True) if OmegaConf.is_config(config[key]) else config[key]
        for key in config
        if key != "hydra" and not OmegaConf.is_missing(config, key)
    }
    return flatten(relative_paths(values, config.hydra.runtime.output_dir))
