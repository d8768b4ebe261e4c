"""Text of `trainer --help`, created from the config directories without composing a config."""

from trainer.cli.commands import list_commands
from trainer.config.introspection.group_options import load_choices

HEADER = """\
trainer: train, sweep and compare neural networks. A run is described by one config.

  trainer                                              train the default: model=mlp on data=digits
  trainer experiment=mnist_cnn                         an experiment by name
  trainer data=digits model=cnn trainer.max_epochs=3   options of config groups, and values by dotted key
  trainer -m 'model.net.hidden=[64],[128]' seed=1,2    every combination (--multirun)
  trainer 'callbacks=[default,early_stopping]' '~callbacks.prediction_images'   add a callback, remove another
"""
FOOTER = """
  --cfg job       print the composed config (all keys that can be set); add --resolve to resolve interpolations
  --info          print the sources of the config
  -m, --multirun  run every combination of comma-separated values
  --plan          with -m: list the jobs without running them
  --config-dir D  also search directory D; ./conf and ./experiments are always searched
  --version       print the version
  --hydra-help    print Hydra's own options
  -sc install=bash    shell completion: eval "$(trainer -sc install=bash)"   (also zsh, fish)
"""


def format_help() -> str:
    """Return usage, commands, the options of every config group, and flags."""
    groups = {group: " ".join(names) for group, names in load_choices().items()}
    return (
        HEADER
        + _format_table("commands (trainer COMMAND --help):", list_commands())
        + _format_table("config groups and their options (group=OPTION; trainer list GROUP describes them):", groups)
        + FOOTER
    )


def _format_table(title: str, rows: dict[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join(["", title, *(f"  {name:{width}}{text}" for name, text in rows.items())]) + "\n"
