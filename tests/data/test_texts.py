"""Users' texts from small tables and directories."""

import json

import pytest
import torch

from trainer.data.preprocessing.text import is_sentence
from trainer.data.texts import Texts

ROWS = [(f"film number {row}, really", ("positive", "negative")[row % 2]) for row in range(20)]
SIZES = {"train": 12, "val": 4, "test": 4}


def write_csv(file, rows=ROWS, header=("review", "sentiment")):
    """Write rows as CSV."""
    lines = [",".join(f'"{cell}"' for cell in row) for row in ([header] if header else []) + [*rows]]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def ready(path, **settings):
    data = Texts(**{"path": str(path), "dir": str(path.parent), "vocabulary_size": 100} | settings)
    data.setup("fit")
    return data


def decode_split(data, stage):
    """Return the text and class name of each example of a split."""
    inputs, targets = data.splits[stage]
    texts = [" ".join(data.vocabulary[token] for token in row if token) for row in inputs.tolist()]
    return [(text, data.class_names[target]) for text, target in zip(texts, targets.tolist(), strict=True)]


def sizes(data):
    return {stage: len(split.targets) for stage, split in data.splits.items()}


def test_a_csv_file_needs_no_settings(tmp_path, caplog):
    caplog.set_level("INFO")
    data = ready(write_csv(tmp_path / "my.csv"))
    assert data.spec.class_names == ("negative", "positive")
    assert data.spec.output_size == 1
    assert data.inferred_settings == {
        "text_column": "review",
        "label_column": "sentiment",
        "class_names": ["negative", "positive"],
        "html": False,
        "tokens": "words",
    }
    assert sizes(data) == SIZES
    for stage in SIZES:
        assert torch.bincount(data.splits[stage].targets).unique().numel() == 1  # stratified
    for text, name in decode_split(data, "train"):
        number = int(text.split()[2])
        assert ROWS[number] == (f"film number {number}, really", name)
    assert "my.csv, 20 texts, text column 'review', label column 'sentiment'" in caplog.text
    assert "classes negative (10), positive (10); train 12, val 4, test 4; tokens are words" in caplog.text


def test_settings_that_the_user_has_set_are_not_inferred(tmp_path):
    file = write_csv(tmp_path / "my.csv")
    data = Texts(path=str(file), class_names=["positive", "negative"], text_column="review", tokens="characters")
    assert data.inferred_settings == {"label_column": "sentiment", "html": False}
    assert data.spec.class_names == ("positive", "negative")


def test_inferred_settings_read_the_same_data(tmp_path):
    file = write_csv(tmp_path / "my.csv")
    data = ready(file)
    assert ready(file, **data.inferred_settings).checksum() == data.checksum()
    assert ready(file, data_seed=1).checksum() != data.checksum()


def test_a_check_with_class_names_needs_no_file():
    data = Texts(path="missing.csv", class_names=["a", "b", "c"], max_length=30, vocabulary_size=50)
    assert (data.spec.output_size, data.spec.shape, data.spec.vocabulary_size) == (3, (30,), 50)
    assert data.inferred_settings == {}
    assert Texts(path="", synthetic=True).spec.class_names == ("negative", "positive")


def test_synthetic_texts_replace_the_file():
    data = Texts(path="", synthetic=True, class_names=["a", "b", "c"])
    data.setup("fit")
    assert sizes(data) == {"train": 2000, "val": 500, "test": 500}


def test_tables_have_many_formats(tmp_path):
    expected = ready(write_csv(tmp_path / "a.csv")).checksum()
    tables = {
        "b.tsv": "review\tsentiment\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS),
        "c.csv": "".join(f"{label};{text}\n" for text, label in ROWS),  # no header, another order
        "d.jsonl": "\n".join(json.dumps({"id": row, "text": ROWS[row][0], "label": ROWS[row][1]}) for row in range(20)),
    }
    for name, content in tables.items():
        (tmp_path / name).write_text(content)
        assert ready(tmp_path / name).checksum() == expected, name


def test_labels_may_be_numbers(tmp_path):
    rows = [(f"text {row}", ("10", "9", "1")[row % 3]) for row in range(30)]
    data = ready(write_csv(tmp_path / "my.csv", rows))
    assert data.class_names == ("1", "9", "10")
    assert all(rows[int(text.split()[1])][1] == name for text, name in decode_split(data, "train"))


def test_duplicates_are_dropped(tmp_path, caplog):
    caplog.set_level("INFO")
    data = ready(write_csv(tmp_path / "my.csv", [*ROWS, *ROWS[:5]]))
    assert sizes(data) == SIZES
    assert "dropped of 25 texts: 5 that repeat another" in caplog.text


def test_files_of_splits_are_used_as_they_are(tmp_path, caplog):
    file = write_csv(tmp_path / "train.csv")
    val = write_csv(
        tmp_path / "val.csv", [(b, a) for a, b in [ROWS[0], ROWS[2], ("new", "positive")]], ("sentiment", "review")
    )
    test = write_csv(tmp_path / "test.csv", [ROWS[0], ROWS[1]])
    data = ready(file, val_path=str(val), test_path="test.csv")
    assert sizes(data) == {"train": 17, "val": 2, "test": 2}
    assert [name for _, name in decode_split(data, "test")] == ["positive", "negative"]
    assert "val has no text of class 'negative'" in caplog.text
    assert sizes(ready(file, test_path=str(test))) == {"train": 14, "val": 4, "test": 2}


@pytest.mark.parametrize("layout", ["", "train/"])
def test_directories_are_classes(tmp_path, layout):
    for text, label in ROWS:
        folder = tmp_path / "mine" / layout / label / "sub"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{text[12:]}.txt").write_text(text, encoding="utf-16" if label == "negative" else "utf-8")
    if layout:
        (tmp_path / "mine/test/positive").mkdir(parents=True)
        (tmp_path / "mine/test/positive/a.txt").write_text("another film")
    data = ready(tmp_path / "mine", dir=str(tmp_path))
    assert data.class_names == ("negative", "positive")
    assert sizes(data) == ({"train": 16, "val": 4, "test": 1} if layout else SIZES)
    assert all(ROWS[int(text.split()[2])][1] == name for text, name in decode_split(data, "train"))


@pytest.mark.parametrize(
    ("text", "tokens", "html"),
    [
        ("这部电影{}", "characters", False),
        ("<p>good&nbsp;film</p> {}", "words", True),
        ("<p>电影</p>{}", "characters", True),
    ],
)
def test_language_and_html_are_found_in_the_training_texts(tmp_path, text, tokens, html):
    data = ready(write_csv(tmp_path / "my.csv", [(text.format(row), label) for row, (_, label) in enumerate(ROWS)]))
    assert (data.preprocessing.tokens, data.preprocessing.html) == (tokens, html)
    assert not {"p", "<", "&", "nbsp"} & {*data.vocabulary}
    assert data.encode_texts([text.format("")]).tolist() == data.encode_texts([text.format(" ")]).tolist()


def test_another_file_is_read_with_the_vocabulary_of_the_checkpoint(tmp_path):
    trained = ready(write_csv(tmp_path / "a.csv"))
    data = ready(write_csv(tmp_path / "b.csv", [(f"other texts {row}", label) for row, (_, label) in enumerate(ROWS)]))
    data.load_state_dict(trained.state_dict())
    assert data.vocabulary == trained.vocabulary
    assert {text.split()[0] for text, _ in decode_split(data, "train")} == {"<unknown>"}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("a good film", True),
        ("good", True),
        ("这部电影", True),
        ("good and/or bad", True),
        ("x" * 5000, True),
        ("reviews.csv", False),
        ("my reviews.txt", False),
        ("texts.txt.gz", False),
        ("folder/file", False),
    ],
)
def test_an_argument_is_a_sentence_unless_it_looks_like_a_file(argument, expected):
    assert is_sentence(argument) == expected


def test_an_existing_file_is_not_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("good")
    assert not is_sentence("a file")
