"""Copies of changed user code are only run if their packages are trusted."""

import json

import pytest

from trainer.artifacts.code_checkout import checkout_code
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
