"""The text of `trainer --help`: made from the folders of the config, uncomposed, so that it comes at once."""

from trainer.cli.commands import commands
from trainer.config.introspection.group_options import choices

HEAD = """\
trainer: train, sweep and compare networks. Everything is a choice or a value of one config.

  trainer                                              train the default: model=mlp on data=digits
  trainer experiment=mnist_cnn                         a whole recipe, by name
  trainer data=digits model=cnn trainer.max_epochs=3   choices, and values by their dotted key
  trainer -m model.net.hidden=[64],[128] seed=1,2      every combination (--multirun)
  trainer callbacks=[default,early_stopping] '~callbacks.pictures'   one more, one fewer
"""
TAIL = """
  --cfg job       print the composed config (all keys that can be set); add --resolve to fill in references
  --info          where each part of the config comes from
  -m, --multirun  run every combination of the values separated by commas
  --plan          with -m: list the jobs, and run none
  --config-dir D  search folder D too; ./conf and ./experiments always join in
  --version       print the version
  --hydra-help    Hydra's own flags
  -sc install=bash    shell completion: eval "$(trainer -sc install=bash)"   (also zsh, fish)
"""


def usage() -> str:
    """Usage, the commands, the choices of every group and the flags."""
    groups = {group: " ".join(names) for group, names in choices().items()}
    return (
        HEAD
        + _table("commands (trainer COMMAND --help):", commands())
        + _table("choices (group=NAME; trainer list GROUP says what each is):", groups)
        + TAIL
    )


def _table(title: str, rows: dict[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join(["", title, *(f"  {name:{width}}{text}" for name, text in rows.items())]) + "\n"
