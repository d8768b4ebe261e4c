"""docs/results.md states what a run leaves behind, as it is."""

import json
import re
import subprocess
from pathlib import Path

import torch

from trainer.artifacts.provenance import LARGEST_NEW_FILE, MOST_NEW_FILES

PAGE = (Path(__file__).resolve().parents[1] / "docs/results.md").read_text()


def test_all_keys_of_a_checkpoint_are_listed(command):
    assert command("data=digits", "model=cnn", "trainer.max_epochs=1", "hydra.run.dir=run").code == 0
    checkpoint = torch.load("run/checkpoints/best.ckpt", weights_only=True)
    assert f"\n{sorted(checkpoint)}\n" in PAGE


def test_all_keys_of_a_result_and_all_states_are_described(command):
    assert command("data=xor", "trainer.max_epochs=1", "hydra.run.dir=run").code == 0
    result = json.loads(Path("run/result.json").read_text())
    described = set(re.findall(r"`(\w+)`", PAGE[: PAGE.index("## metrics.csv")]))
    assert {*result, "finished", "failed", "interrupted", "pruned"} <= described


def test_new_files_of_code_are_in_the_diff_and_others_are_not(command, tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "a.py").write_text("A = 1\n")
    for words in (["init", "-q"], ["add", "a.py"], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *words], check=True)
    (tmp_path / "new.py").write_text("NEW = 1\n")
    (tmp_path / "notes.txt").write_text("a note\n")
    assert command("data=xor", "trainer.max_epochs=1", "hydra.run.dir=outputs/run").code == 0
    diff = Path("outputs/run/code.diff").read_text()
    assert "+NEW = 1" in diff
    assert "\n+a note\n" not in diff
    assert f"at most {LARGEST_NEW_FILE:,} bytes and are not ignored by git: the first {MOST_NEW_FILES}" in PAGE
