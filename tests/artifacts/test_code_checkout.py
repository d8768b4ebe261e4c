"""Copies of changed user code are only run if their packages are trusted."""

import json
import subprocess

import pytest

from trainer.artifacts.code_checkout import checkout_code
from trainer.artifacts.code_hashes import hash_file
from trainer.artifacts.config_signature import sign_code
from trainer.artifacts.run_record import RunRecord
from trainer.core.errors import UserError


@pytest.fixture
def make_record(tmp_path):
    """Return a function that creates the record of a run with copies of changed modules."""

    def make(*modules):
        (tmp_path / "code").mkdir()
        for module in modules:
            (tmp_path / "code" / module).write_text("a = 1\n")
        start = {"directory": str(tmp_path), "code": dict.fromkeys(modules, "0"), "code_folders": [str(tmp_path)]}
        (tmp_path / "provenance.json").write_text(json.dumps(start))
        (tmp_path / "config.yaml").write_text("seed: 1\n")
        return RunRecord(tmp_path)

    return make


def test_the_error_for_untrusted_copies_names_them_and_the_option(make_record):
    record = make_record("first.py", "second.py")
    with (
        pytest.raises(UserError, match=r"are not trusted: second.py\n  to run them: --trust=first,second; --current-"),
        checkout_code(record, ("first",)),
    ):
        pass


def test_no_option_is_suggested_for_a_module_named_like_one_of_python(make_record):
    record = make_record("random.py")
    with (
        pytest.raises(UserError, match=r"are not trusted: random.py\n  --current-code runs the current code$"),
        checkout_code(record, ("random",)),
    ):
        pass


def test_trusted_copies_are_restored(make_record):
    with checkout_code(make_record("first.py"), ("first",)) as code:
        [directory] = code.import_directories
        assert (directory / "first.py").read_text() == "a = 1\n"


def test_files_that_git_ignores_are_copied_into_the_checkout(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "a.py").write_text("import secrets_of_mine\n")
    (tmp_path / ".gitignore").write_text("inner/ignored.py\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *arguments], check=True)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/ignored.py").write_text("b = 1\n")
    (tmp_path / "changed.py").write_text("c = 1\n")
    names = ("a.py", "inner/ignored.py")
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    start = {
        "directory": str(tmp_path),
        "code": {name: hash_file(tmp_path / name) for name in names} | {"changed.py": "0"},
        "code_folders": [str(tmp_path)],
        "git": [{"root": str(tmp_path), "commit": commit}],
    }
    run = tmp_path / "run"
    run.mkdir()
    start["code_signature"] = sign_code(start, "")
    (run / "provenance.json").write_text(json.dumps(start))
    with checkout_code(RunRecord(run), ()) as code:
        [directory] = code.import_directories
        assert (directory / "inner/ignored.py").read_text() == "b = 1\n"
        assert not (directory / "changed.py").exists()
