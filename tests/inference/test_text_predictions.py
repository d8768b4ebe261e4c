"""Predictions on sentences, and on texts in files of every type."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.imdb import IMDB
from trainer.inference.load_checkpoint import LoadedCheckpoint
from trainer.inference.predictor import Predictor
from trainer.model.lstm import LSTM

OBJECTIVE = {"_target_": "trainer.task.objective.make_objective", "_partial_": True}


def imdb(tmp_path):
    """Return synthetic data and a predictor with an untrained network."""
    data = IMDB(synthetic=True, dir=str(tmp_path), vocabulary_size=300, max_length=20)
    data.setup("fit")
    torch.manual_seed(1)
    net = LSTM(data.spec).eval()
    file = tmp_path / "a.ckpt"
    return data, Predictor(LoadedCheckpoint(file, net, data.spec, data.preprocessing, {"objective": OBJECTIVE}, {}, {}))


def test_texts_are_read_from_lines_directories_and_tables(tmp_path):
    data, model = imdb(tmp_path)
    texts = ["word1 word2", "word3 and WORD4!", "word5 " * 30]
    (tmp_path / "lines.txt").write_text("\n".join([texts[0], "", *texts[1:]]) + "\n")
    (tmp_path / "many").mkdir()
    for name, text in zip("abc", texts, strict=True):
        (tmp_path / f"many/{name}.txt").write_text(text.replace(" ", "\n"))
    (tmp_path / "table.csv").write_text("text,more\n" + "".join(f"{text},1\n" for text in texts))
    tokens = data.encode_texts(texts)
    with torch.no_grad():
        expected = model.net(tokens).sigmoid()[:, 0]
    for name, rows in (("lines.txt", [1, 3, 4]), ("many", [None] * 3), ("table.csv", [2, 3, 4])):
        predictions = model.predict(tmp_path / name, batch_size=2)
        assert [prediction.row for prediction in predictions] == rows
        positive = [prediction.probabilities["positive"] for prediction in predictions]
        assert torch.tensor(positive) == pytest.approx(expected, abs=1e-6)


def test_sentences_are_read_as_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, model = imdb(tmp_path)
    (tmp_path / "lines.txt").write_text("word1 word2\n")
    first, other, line = model.predict(["word1 word2", "word3", "lines.txt"])
    assert [(item.source, item.row) for item in (first, other, line)] == [
        *(("word1 word2", None), ("word3", None)),
        ("lines.txt", 1),
    ]
    assert first.probability == pytest.approx(line.probability)
    with pytest.raises(UserError, match=r"^no.csv: no such file"):
        model.predict("no.csv")
    with pytest.raises(UserError, match=r"^predict: an empty text"):
        model.predict(" ")


def test_the_text_column_is_found_by_name(tmp_path):
    _, model = imdb(tmp_path)
    model.preprocessing = replace(model.preprocessing, text_column="review")
    tables = {
        "other.csv": "id;review;label\n1;word1, word2;x\n2;word3;y\n",
        "single.csv": "review\nword1, word2\nword3\n",
        "quoted.csv": 'review\n"word1, word2"\nword3\n',
        "lines.jsonl": '{"label": 1, "review": "word1, word2"}\n{"label": 0, "review": "word3"}\n',
    }
    for name, content in tables.items():
        (tmp_path / name).write_text(content)
    predictions = [[item.probability for item in model.predict(tmp_path / name)] for name in tables]
    assert len(predictions[0]) == 2
    assert predictions == [predictions[0]] * 4
    (tmp_path / "wrong.csv").write_text("id,revew\n1,a film\n")
    message = r"wrong.csv: no column 'review', the text column of the training; did you mean 'revew'\?"
    with pytest.raises(UserError, match=message):
        model.predict(tmp_path / "wrong.csv")


def test_texts_in_memory_are_read_as_sentences_or_from_their_column(tmp_path):
    _, model = imdb(tmp_path)
    model.preprocessing = replace(model.preprocessing, text_column="text")
    texts = ["word1 word2", "word3"]
    expected = [item.probability for item in model.predict(texts)]
    frame = pytest.importorskip("pandas").DataFrame({"id": [5, 6], "text": texts})
    for inputs in (np.array(texts), frame["text"], frame, frame.to_dict("records")):
        assert [item.probability for item in model.predict(inputs)] == expected
    with pytest.raises(UserError, match=r"^rows in memory: no column 'text', the text column of the training"):
        model.predict(frame[["id"]].assign(more="x"))
    with pytest.raises(UserError, match=r"^rows in memory, row 1: the text is empty"):
        model.predict(frame.assign(text=["a", " "]))


def test_a_file_without_column_names_has_no_header_in_predictions(tmp_path):
    _, model = imdb(tmp_path)
    model.preprocessing = replace(model.preprocessing, text_column=0, header=False)
    (tmp_path / "a.csv").write_text("word1 word2\nword3 word4\n")
    assert [item.row for item in model.predict(tmp_path / "a.csv")] == [1, 2]


def test_an_invalid_text_is_refused_with_file_and_line(tmp_path):
    _, model = imdb(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"good\n\xff\xfe\n")
    with pytest.raises(UserError, match=r"a.txt, line 2: not UTF-8 text"):
        model.predict(tmp_path / "a.txt")
    (tmp_path / "a.csv").write_text("text,label\nfine,1\n ,1\n")
    with pytest.raises(UserError, match=r"a.csv, line 3, column 'text': the text is empty"):
        model.predict(tmp_path / "a.csv")
