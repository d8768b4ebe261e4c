"""Test a checkpoint by its own config: the test split of its data, the same table, a run directory of its own.

trainer test CHECKPOINT [data.dir=/elsewhere] [trainer.accelerator=cpu] [trust=my_package]

CHECKPOINT  a .ckpt file, or a run directory, whose best checkpoint is taken
words       any value of the config that is to be another one here; data are looked for where the environment variable
            TRAINER_DATA_DIR says, or else where the run found them
trust       packages of your own whose code the checkpoint names, with commas between them
"""

from trainer.api import test
from trainer.cli.commands import trusted
from trainer.core.errors import UserError

USAGE = "trainer test CHECKPOINT [data.dir=/elsewhere] [trust=my_package]"


def main(words: list[str]) -> int:
    """Run the command with the words behind `test`; the exit status is 0."""
    if not words or "=" in words[0]:
        raise UserError(f"test: name a checkpoint or a run directory\n  {USAGE}")
    path, *values = words
    values, trust = trusted(values)
    test(path, *values, trust=trust)
    return 0
