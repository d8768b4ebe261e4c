"""The provenance contains the commit and a diff of uncommitted changes."""

import importlib.util
import subprocess
import sys

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


@pytest.fixture
def import_file(monkeypatch):
    """Return a function that writes and imports a file."""

    def write(file, content):
        file.write_text(content)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, file.stem, module)
        spec.loader.exec_module(module)

    return write


def git_state(provenance, root):
    [state] = [state for state in provenance["git"] if state["root"] == str(root)]
    return state


def test_a_clean_checkout_has_a_commit_and_no_diff(checkout, tmp_path):
    provenance, diff = collect_provenance()
    assert git_state(provenance, tmp_path)["commit"] == checkout("rev-parse", "HEAD")
    assert git_state(provenance, tmp_path)["changed"] == []
    assert diff == ""


def test_the_diff_restores_changed_and_new_code(checkout, tmp_path, import_file):
    (tmp_path / "code.py").write_text("x = 2\n")
    import_file(tmp_path / "new code.py", "y = 3\n")
    import_file(tmp_path / "secret.py", "value = 'password'\n")
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


def test_untracked_files_are_in_the_diff_only_if_they_were_imported(checkout, tmp_path, import_file):
    (tmp_path / "unused.py").write_text("a = 'unused'\n")
    (tmp_path / "settings.yaml").write_text("password: unused\n")
    import_file(tmp_path / "new.py", "y = 3\n")
    diff = collect_provenance()[1]
    assert "+y = 3" in diff
    assert "unused" not in diff


@pytest.mark.parametrize("name", ["secrets.py", "Secrets.py", "credentials.py", "password.py"])
def test_imported_files_with_secrets_are_not_in_the_diff(checkout, tmp_path, import_file, name):
    import_file(tmp_path / name, "token = 'hidden'\n")
    provenance, diff = collect_provenance()
    assert git_state(provenance, tmp_path)["changed"] == [f"?? {name}"]
    assert "hidden" not in diff


@pytest.mark.parametrize("name", ["secrets.yaml", "conf/.env", "conf/my.pem", "id_rsa", "conf/SECRETS.toml"])
def test_changes_of_tracked_files_with_secrets_are_not_in_the_diff(checkout, tmp_path, name):
    (tmp_path / "conf").mkdir()
    for content in ("first", "second"):
        (tmp_path / name).write_text(f"token: {content}\n")
        checkout("add", "--force", name)
    checkout("commit", "-qm", "secret")
    (tmp_path / name).write_text("token: hidden\n")
    (tmp_path / "code.py").write_text("x = 2\n")
    diff = collect_provenance()[1]
    assert "+x = 2" in diff
    assert "hidden" not in diff


def test_all_changes_are_in_the_diff_in_a_subdirectory(checkout, tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/a.py").write_text("")
    checkout("add", ".")
    (tmp_path / "code.py").write_text("x = 2\n")
    monkeypatch.chdir(tmp_path / "inner")
    assert "+x = 2" in collect_provenance()[1]


def test_untracked_code_is_in_the_diff_if_git_status_hides_it(checkout, tmp_path, import_file):
    checkout("config", "status.showUntrackedFiles", "no")
    import_file(tmp_path / "new.py", "y = 3\n")
    assert "+y = 3" in collect_provenance()[1]


def test_a_checkout_without_a_commit_has_a_diff_of_untracked_code(tmp_path, monkeypatch, import_file):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / "new.py").write_text("y = 3\n")
    subprocess.run(["git", "add", "new.py"], check=True)
    import_file(tmp_path / "newer.py", "z = 4\n")
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
