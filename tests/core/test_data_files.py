"""Files of any content are read in bounded time, and their problems are named."""

from contextlib import suppress
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.core import data_files
from trainer.core.data_files import InvalidFileError, check_types, read_json, read_yaml

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
INVALID = {
    "empty.json": (b"", "empty.json: empty file"),
    "blank.yaml": (b" \n", "blank.yaml: empty file"),
    "cut.json": (b'{"state": ', "cut.json: no valid JSON: Expecting value"),
    "deep.json": (b"[" * 1_000_000, "deep.json: nested too deeply"),
    "latin.json": ('{"a": "é"}'.encode("latin-1"), "latin.json: no UTF-8 text"),
    "bomb.yaml": (BOMB.encode(), r"bomb.yaml: aliases, such as \*a0, are not allowed"),
    "deep.yaml": (b"- " * 5_000 + b"a", "deep.yaml: nested too deeply"),
    "flow.yaml": (b"[" * 100_000, "flow.yaml: nested too deeply"),
    "tabs.yaml": (b"a:\n\t- b", "tabs.yaml: line 2: no valid YAML: found character"),
    "object.yaml": (b"a: !!python/object/apply:os.system [id]", "object.yaml: line 1: no valid YAML: could not"),
    "date.yaml": (b"a: 2020-13-45", "date.yaml: no valid YAML: month must be in 1..12"),
    "key.yaml": (b"{[a]: 1}", "key.yaml: line 1: no valid YAML: found unhashable key"),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_is_an_error_with_a_reason(name, tmp_path):
    content, message = INVALID[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidFileError, match=message):
        (read_json if name.endswith("json") else read_yaml)(tmp_path / name)


def test_large_files_and_directories_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(data_files, "MAX_FILE_BYTES", 10)
    (tmp_path / "a.json").write_text('"0123456789"')
    with pytest.raises(InvalidFileError, match=r"a\.json: 12 bytes; at most 10 are read"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InvalidFileError, match=r"at most 10|directory"):
        read_json(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path / "b.yaml")


def test_types_are_checked():
    schema = {"a": int, "b": float | None, "c": dict[str, list[str]], "d": Any, "e": Literal["x", "y"], "f": str}
    assert not check_types({"a": 1, "b": 2, "c": {"k": ["v"]}, "d": {}, "e": "x", "other": object()}, schema)
    assert not check_types({"b": None}, schema)
    wrong = [{"a": 1.5}, {"a": True}, {"b": "2"}, {"c": {"k": "v"}}, {"c": {1: []}}, {"c": []}, {"e": "z"}, {"f": None}]
    for content in wrong:
        assert check_types(content, schema).startswith(f"{next(iter(content))}: expected ")
    assert check_types([], schema) == "expected a mapping, found []"
    assert check_types({1: 2}, schema) == "key 1: expected a text"
    assert len(check_types({"a": "x" * 1000}, schema)) < 100
    assert check_types({"a": 1}, {"a": int, "b": int}, is_complete=True) == "b is missing"


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text("{}[]:&*-!'\"\n\t #|>?,%@a1", max_size=60).map(str.encode)))
def test_no_content_raises_another_error(tmp_path_factory, content):
    for name, read in {"a.json": read_json, "a.yaml": read_yaml}.items():
        file = tmp_path_factory.getbasetemp() / name
        file.write_bytes(content)
        with suppress(InvalidFileError):
            read(file)
