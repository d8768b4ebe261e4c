"""Comparison of docs/results.md with the files of a run."""

import importlib
import json
import re
import subprocess
from pathlib import Path

import torch

from trainer.artifacts.secret_files import SECRET_FILE_PATTERNS

PAGE = (Path(__file__).resolve().parents[1] / "docs/results.md").read_text()


def test_all_keys_of_a_checkpoint_are_documented(command):
    assert command("data=digits", "model=cnn", "trainer.max_epochs=1", "hydra.run.dir=run").code == 0
    checkpoint = torch.load("run/checkpoints/best.ckpt", weights_only=True)
    assert f"\n{sorted(checkpoint)}\n" in PAGE


def test_all_keys_and_states_of_a_result_are_documented(command):
    assert command("data=xor", "trainer.max_epochs=1", "hydra.run.dir=run").code == 0
    result = json.loads(Path("run/result.json").read_text())
    documented = set(re.findall(r"`(\w+)`", PAGE[: PAGE.index("## metrics.csv")]))
    assert {*result, "finished", "failed", "interrupted", "pruned"} <= documented


def test_imported_files_are_in_the_diff_and_other_untracked_files_are_not(command, tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "a.py").write_text("A = 1\n")
    for arguments in (["init", "-q"], ["add", "a.py"], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *arguments], check=True)
    (tmp_path / "new_file.py").write_text("NEW = 1\n")
    (tmp_path / "notes.py").write_text("# a note\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("new_file")
    assert command("data=xor", "trainer.max_epochs=1", "hydra.run.dir=outputs/run").code == 0
    diff = Path("outputs/run/code.diff").read_text()
    assert "+NEW = 1" in diff
    assert "\n+++ b/new_file.py\n" in diff
    assert "\n+++ b/notes.py\n" not in diff
    assert set(re.findall(r"`([^`]+)`", PAGE[PAGE.index("with passwords or keys") :].split("\n\n")[0])) == {
        *SECRET_FILE_PATTERNS
    }
