"""The README's table of superpowers runs as it stands; the manual's table of what is inside is whole."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from trainer.cli.commands import is_command

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text()
TABLE = README[README.index("## Superpowers") : README.index("A run leaves this behind")]
# a checkpoint to fill in, a GPU, a download, files; what serves pages until it is stopped
NOT_HERE = ("...", "trainer=gpu", "mnist", "my.csv", "my_pictures", "trainer tensorboard")
COMMANDS = [
    command
    for command in re.findall(r"`(trainer [^`]+)`", TABLE)
    if not any(word in command for word in NOT_HERE) and "debug=" not in command  # tests/test_run_modes.py
]


def test_the_table_is_found():
    assert len(COMMANDS) >= 7


@pytest.mark.slow
@pytest.mark.parametrize("typed", COMMANDS)
def test_a_superpower_runs_as_it_stands(typed, command):
    if "best.ckpt" in typed:
        made = command("data=digits", "model=linear", "trainer.max_epochs=1", "hydra.run.dir=run")
        shutil.copy(made.directory / "run/checkpoints/best.ckpt", made.directory)
        (made.directory / "photos").mkdir()
        Image.new("L", (8, 8), 255).save(made.directory / "photos/white.png")
    words = shlex.split(typed)[1:]
    outcome = command(*words, *([] if is_command(words[0]) else ["+trainer.max_time=00:00:00:05"]))
    assert outcome.code == 0, outcome.err
    assert "Traceback" not in outcome.err


def test_the_manual_lists_every_choice():
    from trainer.config.introspection.group_options import choices

    table = (REPOSITORY / "docs/index.md").read_text().partition("## What is inside")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE)
    listed = {group: set(re.findall(r"`(\w+)`", names)) for group, names in rows}
    assert listed == {group: {*names} for group, names in choices().items() if group != "objective"}
