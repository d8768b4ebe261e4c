"""Where a run came from: the commit, and everything that the commit lacks."""

import subprocess

import pytest

from trainer.artifacts.provenance import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout with one commit, as the working directory."""
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


def here(origin, tmp_path):
    [place] = [place for place in origin["git"] if place["root"] == str(tmp_path)]
    return place


def test_a_clean_checkout_has_its_commit_and_no_diff_of_its_own(checkout, tmp_path):
    origin, diff = provenance()
    assert here(origin, tmp_path)["commit"] == checkout("rev-parse", "HEAD")
    assert here(origin, tmp_path)["changed"] == []
    assert diff == ""


def test_the_diff_restores_changed_and_new_code(checkout, tmp_path):
    (tmp_path / "code.py").write_text("x = 2\n")
    (tmp_path / "new code.py").write_text("y = 3\n")
    (tmp_path / "secret.py").write_text("password\n")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/config.yaml").write_text("left by a run\n")
    origin, diff = provenance()
    assert here(origin, tmp_path)["changed"] == [" M code.py", '?? "new code.py"', "?? outputs/"]
    assert "password" not in diff
    assert "left by a run" not in diff
    (tmp_path / "new code.py").unlink()
    checkout("checkout", "code.py")
    subprocess.run(["git", "apply"], input=diff, text=True, check=True)
    assert (tmp_path / "code.py").read_text() == "x = 2\n"
    assert (tmp_path / "new code.py").read_text() == "y = 3\n"


def test_new_code_is_in_the_diff_also_where_git_does_not_show_it(checkout, tmp_path):
    checkout("config", "status.showUntrackedFiles", "no")
    (tmp_path / "new.py").write_text("y = 3\n")
    assert "+y = 3" in provenance()[1]


def test_a_checkout_without_a_commit_has_its_new_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / "new.py").write_text("y = 3\n")
    subprocess.run(["git", "add", "new.py"], check=True)
    (tmp_path / "newer.py").write_text("z = 4\n")
    origin, diff = provenance()
    assert here(origin, tmp_path)["commit"] is None
    assert "+z = 4" in diff


def test_a_directory_outside_git_has_no_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    origin, _ = provenance()
    assert str(tmp_path) not in [place["root"] for place in origin["git"]]


def test_a_machine_without_git_still_says_the_rest(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    origin, diff = provenance()
    assert (origin["git"], diff) == ([], "")
    assert origin["packages"]["hydra-core"]
    assert origin["machine"]["cores"] >= 1
