"""Calls of git run no code of a repository."""

import subprocess

import pytest

from trainer.core.git import DIFF_OPTIONS, find_checkout_root, run_git


@pytest.fixture
def repository(tmp_path):
    """Return a repository whose hook and whose settings run a program that leaves the file `executed`."""
    root = tmp_path / "repository"
    root.mkdir()
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
    program.chmod(0o755)
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    (root / "a.py").write_text("a = 1\n")
    (root / ".gitattributes").write_text("*.py diff=mine\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *arguments], check=True)
    for key in ("core.fsmonitor", "diff.external", "diff.mine.command", "diff.mine.textconv"):
        subprocess.run([*git, "config", key, str(program)], check=True)
    (root / ".git/hooks/post-checkout").symlink_to(program)
    (root / "a.py").write_text("a = 2\n")
    return root


@pytest.mark.parametrize(
    "arguments",
    [("worktree", "add", "--detach", "../copy", "HEAD"), ("status", "--porcelain"), ("diff", "HEAD", *DIFF_OPTIONS)],
    ids=lambda arguments: arguments[0],
)
def test_neither_hooks_nor_programs_in_settings_are_run(arguments, repository):
    assert run_git(repository, *arguments).returncode == 0
    assert not (repository.parent / "executed").exists()
    subprocess.run(["git", "-C", str(repository), *arguments[:2]], capture_output=True)  # they would be
    subprocess.run(["git", "-C", str(repository), "worktree", "add", "../other"], capture_output=True)
    assert (repository.parent / "executed").exists()


def test_the_root_of_a_checkout_is_found(repository, tmp_path):
    (repository / "inner").mkdir()
    assert find_checkout_root(repository / "inner") == repository.resolve()
    assert find_checkout_root(tmp_path) is None
