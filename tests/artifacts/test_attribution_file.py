"""Importances in the CSV file of a run."""

import pytest

from trainer.artifacts.attribution_file import FILENAME, read_attribution, write_attribution


def test_a_table_is_read_as_it_was_written(tmp_path):
    write_attribution(tmp_path, ("word", "decrease"), [('"', 0.5), ("a,\nb", -0.25)])
    assert read_attribution(tmp_path) == (["word", "decrease"], [['"', "0.5"], ["a,\nb", "-0.25"]])


def test_a_word_that_a_spreadsheet_would_run_is_escaped(tmp_path):
    write_attribution(tmp_path, ("word",), [("=1+1",)])
    assert (tmp_path / FILENAME).read_text() == "word\n'=1+1\n"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"a,b\n1\n"])
def test_a_missing_or_invalid_file_has_no_rows(tmp_path, content):
    if content is not None:
        (tmp_path / FILENAME).write_bytes(content)
    assert read_attribution(tmp_path)[1] == []
