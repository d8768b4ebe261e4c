"""Settings that have no effect on files of a type."""

import pytest

from trainer.core.errors import UserError
from trainer.data.image_folder import ImageFolder
from trainer.data.stock import Stock
from trainer.data.table import Table
from trainer.data.texts import Texts


@pytest.mark.parametrize(
    ("data", "name", "settings"),
    [
        (Table, "a.jsonl", {"delimiter": ";"}),
        (Table, "a.jsonl", {"encoding": "cp1252"}),
        (Table, "a.jsonl", {"header": False}),
        (Table, "a.jsonl", {"skipped_lines": 1}),
        (Table, "a.parquet", {"delimiter": ","}),
        (Stock, "a.jsonl", {"delimiter": ";"}),
        (Stock, "a.xlsx", {"encoding": "cp1252"}),
        (Stock, "a.parquet", {"header": True}),
        (Texts, "a.jsonl", {"delimiter": ";"}),
        (Texts, "a.xlsx", {"encoding": "cp1252"}),
        (Texts, "a.feather", {"header": True}),
        (ImageFolder, "a.parquet", {"delimiter": ";"}),
    ],
)
def test_settings_of_texts_with_delimiters_are_errors_for_other_files(tmp_path, data, name, settings):
    (tmp_path / name).write_text('{"x": 1, "y": 2}\n')
    [key] = settings
    with pytest.raises(UserError) as error:
        data(path=str(tmp_path / name), **settings).setup("fit")
    assert str(error.value) == f"data.{key}: {tmp_path / name} is no text with delimiters; leave it out"


@pytest.mark.parametrize("data", [Table, Texts])
def test_a_sheet_is_an_error_for_other_files_than_those_of_excel(tmp_path, data):
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    with pytest.raises(UserError) as error:
        data(path=str(tmp_path / "a.csv"), sheet="first").setup("fit")
    assert str(error.value) == f"data.sheet: {tmp_path / 'a.csv'} is no Excel file; leave it out"


@pytest.mark.parametrize(
    ("name", "value"), [("header", True), ("delimiter", ";"), ("sheet", "first"), ("text_column", 0)]
)
def test_settings_of_tables_are_errors_for_directories_of_texts(tmp_path, name, value):
    (tmp_path / "good").mkdir()
    with pytest.raises(UserError) as error:
        Texts(path=str(tmp_path), **{name: value}).setup("fit")
    assert str(error.value) == f"data.{name}: '{tmp_path}' is a directory, not a table; leave it out"
