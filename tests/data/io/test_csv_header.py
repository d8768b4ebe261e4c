"""The header check of CSV files, in training and in predictions."""

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.imdb import IMDB
from trainer.data.preprocessing.tabular import TabularPreprocessing
from trainer.data.stock import Stock
from trainer.data.table import Table

FLOWERS = [f"{n}.5,{10 - n},{('rose', 'lily')[n % 2]}" for n in range(10)]
NUMBERS = [f"{n},{n % 3},{n % 2}" for n in range(10)]
FILMS = [f"film number {n},{('positive', 'negative')[n % 2]}" for n in range(10)]
DAYS = [f"2024-01-{n + 10},{n + 1.5},{n + 2}" for n in range(20)]


def table(directory, **settings):
    names = ["lily", "rose"]
    Table(**{"path": "some.csv", "dir": str(directory), "features": 2, "class_names": names} | settings).setup("fit")


def reviews(directory, **settings):
    IMDB(**{"path": "some.csv", "dir": str(directory), "val_size": 2, "test_size": 2} | settings).setup("fit")


def prices(directory, **settings):
    Stock(**{"path": "some.csv", "dir": str(directory), "price_column": 1, "window": 2} | settings).setup("fit")


def read_error(read, directory, lines, **settings):
    (directory / "some.csv").write_text("\n".join(lines))
    with pytest.raises(UserError) as error:
        read(directory, **settings)
    return str(error.value).replace(f"{directory}/", "")


@pytest.mark.parametrize(
    ("read", "lines", "settings", "cell", "example"),
    [
        pytest.param(table, FLOWERS, {}, "0.5", "'data.target=\"rose\"'", id="numbers and a class"),
        pytest.param(table, FLOWERS, {"target": "kind"}, "0.5", "", id="a name that is not there"),
        pytest.param(table, ["?,10,rose", *FLOWERS], {}, "10", "'data.target=\"rose\"'", id="a missing number"),
        pytest.param(
            table,
            ["no,1,lily", *FLOWERS, "no,0,rose"],
            {"missing": ["no"]},
            "no",
            "'data.target=\"lily\"'",
            id="a word for a missing number",
        ),
        pytest.param(table, NUMBERS, {"class_names": [0, 1]}, "0", "'data.target=\"0\"'", id="numbers alone"),
        pytest.param(table, NUMBERS, {"task": "regression", "target": 0}, "0", "'data.target=\"0\"'", id="regression"),
        pytest.param(reviews, FILMS, {}, "positive", "'data.label_column=\"positive\"'", id="texts"),
        pytest.param(
            reviews, ["a film,Neg", *FILMS], {}, "Neg", "'data.label_column=\"Neg\"'", id="a label of its own"
        ),
    ],
)
def test_data_in_the_first_line_is_not_read_as_column_names(tmp_path, read, lines, settings, cell, example):
    assert read_error(read, tmp_path, lines, **settings) == (
        f"some.csv, line 1: read as column names, but '{cell}' looks like data, as in the rows below; "
        "set data.header=false"
        + f"\n  if the line does contain the column names, set one by its name: {example}"
        * bool(example)
    )
    read(tmp_path, **{key: value for key, value in settings.items() if value != "kind"}, header=False)


def test_prices_need_a_header(tmp_path):
    assert read_error(prices, tmp_path, DAYS).startswith(
        "some.csv, line 1: read as column names, but '1.5' looks like data, as in the rows below; "
        "add a line with the column names above it"
    )


def test_a_repeated_header_is_an_error(tmp_path):
    lines = ["review,sentiment", *FILMS[:5], "review,sentiment", *FILMS[5:]]
    assert read_error(reviews, tmp_path, lines) == (
        "some.csv, line 7: the same as line 1; remove it if line 1 contains the column names, else set "
        "data.header=false"
    )


@pytest.mark.parametrize(
    ("read", "lines", "settings"),
    [
        pytest.param(table, ["0,1,2", *NUMBERS], {"class_names": [0, 1], "target": "2"}, id="names that are numbers"),
        pytest.param(table, ["id,2023,2024", *NUMBERS], {"class_names": [0, 1]}, id="one of the names is a word"),
        pytest.param(reviews, ["text,positive", *FILMS], {"label_column": "positive"}, id="a name that is a class"),
    ],
)
def test_names_that_look_like_data_are_accepted_if_one_is_set_or_is_text(tmp_path, read, lines, settings):
    (tmp_path / "some.csv").write_text("\n".join(lines))
    read(tmp_path, **settings)
    if "2024" not in lines[0]:
        assert "read as column names" in read_error(read, tmp_path, lines, **{**settings, list(settings)[-1]: 1})


def test_a_header_that_is_read_as_data_is_an_error(tmp_path):
    lines = ["film,mood", *FILMS]
    assert read_error(reviews, tmp_path, lines, header=False).endswith(
        "'mood' is not in data.class_names; there are: negative, positive; if this line contains the column names, set "
        "data.header=true"
    )


def read_all(preprocessing, file):
    return torch.cat([part.inputs for part in preprocessing.read([file], 4)])


def test_a_prediction_reads_duplicate_column_names_only_as_in_training(tmp_path):
    preprocessing = TabularPreprocessing((0, 1), 3, ("a", "a"))
    (tmp_path / "some.csv").write_text("a,a,b\n1,2,x\n")
    assert read_all(preprocessing, tmp_path / "some.csv").tolist() == [[1, 2]]
    for names, row in (("1,2,x", "3,4,x"), ("a,b,a", "1,2,3"), ("b,c", "1,2")):
        (tmp_path / "some.csv").write_text(f"{names}\n{row}\n")
        message = f"some.csv, line 1: columns {names.replace(',', ', ')}; expected a, a, as in training$"
        with pytest.raises(UserError, match=message):
            read_all(preprocessing, tmp_path / "some.csv")


def test_a_prediction_finds_the_text_column_by_its_name_in_training(tmp_path):
    (tmp_path / "some.csv").write_text("\n".join(["review,sentiment", *FILMS]))
    data = IMDB(path="some.csv", dir=str(tmp_path), val_size=2, test_size=2)
    data.setup("fit")
    (tmp_path / "other.csv").write_text("id,review\n7,film number 8\n")
    expected = data.preprocessing.encode_texts(["film number 8"])
    assert torch.equal(read_all(data.preprocessing, tmp_path / "other.csv"), expected)
    (tmp_path / "other.csv").write_text("film number 8,positive\nfilm number 9,negative\n")
    with pytest.raises(UserError, match="has no column 'review'; there are: film number 8, positive"):
        read_all(data.preprocessing, tmp_path / "other.csv")


def test_a_prediction_reads_texts_from_a_tab_separated_file(tmp_path):
    (tmp_path / "some.tsv").write_text("\n".join(["review,sentiment", *FILMS]).replace(",", "\t"))
    data = IMDB(path="some.tsv", dir=str(tmp_path), val_size=2, test_size=2, delimiter="\t")
    data.setup("fit")
    assert len(read_all(data.preprocessing, tmp_path / "some.tsv")) == 10


def test_a_prediction_without_names_in_training_does_not_lose_the_first_row(tmp_path):
    data = IMDB(dir=str(tmp_path), synthetic=True, vocabulary_size=50)
    data.setup("fit")
    (tmp_path / "some.csv").write_text("\n".join(FILMS))
    with pytest.raises(UserError) as error:
        read_all(data.preprocessing, tmp_path / "some.csv")
    assert str(error.value).endswith("as in the rows below; add a line with the column names above it")


def test_a_prediction_finds_the_price_column_by_its_name_in_training(tmp_path):
    (tmp_path / "some.csv").write_text("\n".join(["Date,Close,Open", *DAYS]))
    data = Stock(path="some.csv", dir=str(tmp_path), price_column=1, window=2)
    data.setup("fit")
    (tmp_path / "other.csv").write_text("\n".join(["Date,Volume,Close", *DAYS]))
    [part] = data.preprocessing.read([tmp_path / "other.csv"], 100)
    assert part.facts["last_price"][-1] == 21  # of the third column
    (tmp_path / "other.csv").write_text("\n".join(DAYS))
    with pytest.raises(UserError, match=r"as in the rows below; add a line with the column names above it$"):
        read_all(data.preprocessing, tmp_path / "other.csv")
