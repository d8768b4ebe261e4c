"""Deduplication of texts, and reading of text files."""

import pytest

from trainer.core.errors import UserError
from trainer.data.io.texts.labeled_texts import LabeledTexts, drop_duplicates, read_text


def test_texts_with_two_labels_are_logged(caplog):
    texts = LabeledTexts(["good film", "bad film", "Good  film", "bad film"], [1, 0, 0, 0])
    assert drop_duplicates(texts) == (["good film", "bad film"], [1, 0])
    message = "1 texts repeat another text with another label, e.g. 'Good film'; the first label is used"
    assert message in caplog.text


def test_texts_of_other_splits_are_dropped(caplog):
    caplog.set_level("INFO")
    texts = LabeledTexts(["a", "b", "A ", "c"], [0, 1, 0, 1])
    assert drop_duplicates(texts, ["B"], "reviews") == (["a", "c"], [0, 1])
    assert "dropped of 4 reviews: 1 that repeat another and 1 that are also in the test" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_the_encoding_of_a_file_is_detected(tmp_path, encoding):
    (tmp_path / "a.txt").write_text("Ein schönes Café für alle", encoding=encoding)
    assert read_text(tmp_path / "a.txt", encoding=None) == "Ein schönes Café für alle"


def test_a_file_in_another_encoding_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"a.txt: not UTF-8 text \(.*\); save it in UTF-8, or remove it"):
        read_text(tmp_path / "a.txt")
