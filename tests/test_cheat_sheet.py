"""Tests that the commands of the cheat sheet run and that the manual lists every option."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from trainer.cli.commands import is_command

REPOSITORY = Path(__file__).resolve().parents[1]
TABLE = (REPOSITORY / "docs/cheat-sheet.md").read_text()
# commands that need a checkpoint, a GPU, a download or files; and a server
EXCLUDED = ("...", "trainer=gpu", "mnist", "my.csv", "my_pictures", "trainer tensorboard")
COMMANDS = [
    command
    for command in re.findall(r"`(trainer [^`]+)`", TABLE)
    if not any(part in command for part in EXCLUDED) and "debug=" not in command  # tests/test_run_modes.py
]


def test_the_cheat_sheet_contains_commands():
    assert len(COMMANDS) >= 7


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_cheat_sheet_runs(line, command):
    if "best.ckpt" in line:
        run = command("data=digits", "model=linear", "trainer.max_epochs=1", "hydra.run.dir=run")
        shutil.copy(run.directory / "run/checkpoints/best.ckpt", run.directory)
        (run.directory / "photos").mkdir()
        Image.new("L", (8, 8), 255).save(run.directory / "photos/white.png")
    overrides = shlex.split(line)[1:]
    outcome = command(*overrides, *([] if is_command(overrides[0]) else ["+trainer.max_time=00:00:00:05"]))
    assert outcome.code == 0, outcome.err
    assert "Traceback" not in outcome.err


def test_the_manual_lists_every_option():
    from trainer.config.introspection.group_options import load_choices

    table = (REPOSITORY / "docs/index.md").read_text().partition("## Config groups")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE)
    listed = {group: set(re.findall(r"`(\w+)`", names)) for group, names in rows}
    assert listed == {group: {*names} for group, names in load_choices().items() if group != "objective"}
