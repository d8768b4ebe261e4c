"""The provenance contains the commit and a diff of uncommitted changes."""

import subprocess

import pytest

from trainer.artifacts.provenance import collect_provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Change to a git checkout with one commit; return a function that runs git."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trainer.__file__", "/trainer/__init__.py")  # not this project's own checkout

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
        return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "code.py").write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text("secret.py\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return git


def git_state(provenance, root):
    [state] = [state for state in provenance["git"] if state["root"] == str(root)]
    return state


def test_a_clean_checkout_has_a_commit_and_no_diff(checkout, tmp_path):
    provenance, diff = collect_provenance()
    assert git_state(provenance, tmp_path)["commit"] == checkout("rev-parse", "HEAD")
    assert git_state(provenance, tmp_path)["changed"] == []
    assert diff == ""


def test_the_diff_restores_changed_and_new_code(checkout, tmp_path):
    (tmp_path / "code.py").write_text("x = 2\n")
    (tmp_path / "new code.py").write_text("y = 3\n")
    (tmp_path / "secret.py").write_text("password\n")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/config.yaml").write_text("output of a run\n")
    provenance, diff = collect_provenance()
    assert git_state(provenance, tmp_path)["changed"] == [" M code.py", '?? "new code.py"', "?? outputs/"]
    assert "password" not in diff
    assert "output of a run" not in diff
    (tmp_path / "new code.py").unlink()
    checkout("checkout", "code.py")
    subprocess.run(["git", "apply"], input=diff, text=True, check=True)
    assert (tmp_path / "code.py").read_text() == "x = 2\n"
    assert (tmp_path / "new code.py").read_text() == "y = 3\n"


def test_untracked_code_is_in_the_diff_if_git_status_hides_it(checkout, tmp_path):
    checkout("config", "status.showUntrackedFiles", "no")
    (tmp_path / "new.py").write_text("y = 3\n")
    assert "+y = 3" in collect_provenance()[1]


def test_a_checkout_without_a_commit_has_a_diff_of_untracked_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / "new.py").write_text("y = 3\n")
    subprocess.run(["git", "add", "new.py"], check=True)
    (tmp_path / "newer.py").write_text("z = 4\n")
    provenance, diff = collect_provenance()
    assert git_state(provenance, tmp_path)["commit"] is None
    assert "+z = 4" in diff


def test_a_directory_outside_git_has_no_git_state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    provenance, _ = collect_provenance()
    assert str(tmp_path) not in [state["root"] for state in provenance["git"]]


def test_without_git_the_other_values_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    provenance, diff = collect_provenance()
    assert (provenance["git"], diff) == ([], "")
    assert provenance["packages"]["hydra-core"]
    assert provenance["machine"]["cores"] >= 1
