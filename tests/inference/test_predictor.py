"""Predictions from a checkpoint alone: on files of every kind, in a stream, and with tensors."""

import os
import threading
import tracemalloc

import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.cifar10 import CIFAR10
from trainer.data.diabetes import Diabetes
from trainer.data.digits import Digits
from trainer.data.imdb import IMDB
from trainer.data.line import Line
from trainer.data.mnist import MNIST
from trainer.data.preprocessing.tabular import Rows, plain
from trainer.data.stock import Stock
from trainer.data.threshold import Threshold
from trainer.data.xor import XOR
from trainer.inference.load_checkpoint import Restored
from trainer.inference.predictor import Predictor
from trainer.model.linear import Linear
from trainer.model.lstm import LSTM

OBJECTIVE = {"_target_": "trainer.task.objective.objective_for", "_partial_": True}
ROWS = DataSpec("rows", "vector", (2,), "classes", 1, ("no", "yes"))
VALUES = DataSpec("rows", "vector", (2,), "values", 2)


def untrained(spec, preprocessing, tmp_path, net=None, **objective):
    torch.manual_seed(1)
    made = (net or Linear(spec)).eval()
    config = {"objective": OBJECTIVE | objective}
    return Predictor(Restored(tmp_path / "a.ckpt", made, spec, preprocessing, config, {}, {}))


def test_a_row_is_told_by_its_class_and_the_probability_of_each(tmp_path):
    model = untrained(ROWS, plain(2), tmp_path)
    (tmp_path / "a.csv").write_text("1,2\n\n-3,4\n")
    first, second = model.predict(tmp_path / "a.csv")
    assert (first.source, first.row, second.row) == (str(tmp_path / "a.csv"), 1, 3)
    logit = model.net(torch.tensor([[1.0, 2.0]])).item()
    assert first.probabilities["yes"] == pytest.approx(1 / (1 + 2.718281828**-logit))
    assert sum(first.probabilities.values()) == pytest.approx(1)
    assert (first.label, first.probability) == max(first.probabilities.items(), key=lambda item: item[1])


def test_values_are_told_all(tmp_path):
    model = untrained(VALUES, plain(2), tmp_path)
    [one] = model.predict(torch.tensor([[1.0, 2.0]]))
    assert one.values == tuple(model.net(torch.tensor([[1.0, 2.0]]))[0].tolist())
    assert (one.source, one.row, one.label, one.value) == ("", 0, None, one.values[0])


def test_a_tensor_gives_what_the_same_rows_in_a_file_give(tmp_path):
    model = untrained(ROWS, plain(2), tmp_path)
    inputs = torch.randn(7, 2)
    (tmp_path / "a.csv").write_text("".join(f"{a},{b}\n" for a, b in inputs.tolist()))
    from_file = [one.label for one in model.predict([tmp_path / "a.csv"], at_once=3)]
    assert from_file == [one.label for one in model.predict(inputs, at_once=2)]


def test_the_scores_of_a_hinge_loss_are_not_called_probabilities(tmp_path):
    assert untrained(ROWS, plain(2), tmp_path).is_sure
    assert not untrained(ROWS, plain(2), tmp_path, loss="hinge").is_sure


def test_columns_are_found_by_name_and_missing_numbers_become_the_mean_of_the_training(tmp_path):
    made = Rows((0, 2), 4, ("a", "c"), ",", ("", "?"), torch.tensor([10.0, 20.0]).double(), torch.ones(2).double())
    (tmp_path / "a.csv").write_text("c,other,a\n21,x,11\n?,y,12\n")
    [part] = made.read([tmp_path / "a.csv"], 10)
    assert made.prepare(part.inputs).tolist() == [[1.0, 1.0], [2.0, 0.0]]
    assert part.rows == [2, 3]


@pytest.mark.parametrize(
    ("made", "text", "message"),
    [
        (Rows((0, 1), 3, ("age", "mass")), "age,mas\n1,2\n", "a.csv, line 1: no column 'mass'; did you mean 'mas'"),
        (Rows((0, 1), 3, ("age", "mass")), "x,y\n1,2\n", "no column 'age'.*of 2 that are missing: age, mass"),
        (Rows((0, 1), 3), "1,2,3,4\n", "a.csv, line 1: 4 columns, but the network takes 2, or 3 as in the training"),
        (plain(2), "1,2,3\n", "a.csv, line 1: 3 columns, but the network takes 2$"),
        (plain(2), "1,2\n1,x\n", r"a.csv, line 2, column 1 \(counted from 0\) has 'x', .*; mend or remove the line"),
        (plain(2), "1,2\n1\n", "a.csv, line 2: 1 cells, but line 1 has 2"),
        (plain(2), "", "a.csv: it has no rows"),
    ],
)
def test_a_row_that_is_none_is_refused_by_file_and_line(made, text, message, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        untrained(ROWS, made, tmp_path).predict(tmp_path / "a.csv")


def test_one_number_a_line_is_a_table_too(tmp_path):
    (tmp_path / "a.csv").write_text("1\n2\n")
    [part] = plain(1).read([tmp_path / "a.csv"], 10)
    assert part.inputs.tolist() == [[1.0], [2.0]]


def peak(model, tmp_path, rows):
    """Most bytes held while so many rows come through a pipe, of which no one knows the end."""
    pipe = tmp_path / f"{rows}.csv"
    os.mkfifo(pipe)

    def write():
        with pipe.open("w") as stream:
            for number in range(rows):
                stream.write(f"{number},{-number}\n")

    writer = threading.Thread(target=write)
    writer.start()
    tracemalloc.start()
    try:
        count = sum(1 for _ in model.stream([pipe], at_once=100))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        writer.join()


def test_a_file_without_end_takes_no_more_memory_than_a_short_one(tmp_path):
    model = untrained(ROWS, plain(2), tmp_path)
    short, long = peak(model, tmp_path, 500), peak(model, tmp_path, 5000)
    assert (short[0], long[0]) == (500, 5000)
    assert long[1] < short[1] + 100_000  # in lists the long one takes ten times that


def test_predictions_come_while_files_are_still_named(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    asked = []

    def files():
        for number in range(3):
            asked.append(number)
            yield tmp_path / "a.csv"

    stream = untrained(ROWS, plain(2), tmp_path).stream(files(), at_once=1)
    next(stream)
    assert asked == [0]
    assert len([*stream]) == 2


def imdb(tmp_path, **settings):
    data = IMDB(synthetic=True, dir=str(tmp_path), vocabulary_size=300, max_length=20, **settings)
    data.setup("fit")
    return data, untrained(data.spec, data.preprocessing, tmp_path, LSTM(data.spec))


def test_texts_come_from_lines_directories_and_tables(tmp_path):
    data, model = imdb(tmp_path)
    texts = ["word1 word2", "word3 and WORD4!", "word5 " * 30]
    (tmp_path / "lines.txt").write_text("\n".join([texts[0], "", *texts[1:]]) + "\n")
    (tmp_path / "many").mkdir()
    for name, text in zip("abc", texts, strict=True):
        (tmp_path / f"many/{name}.txt").write_text(text.replace(" ", "\n"))
    (tmp_path / "table.csv").write_text("text,more\n" + "".join(f"{text},1\n" for text in texts))
    tokens = data.tokens(texts)
    with torch.no_grad():
        wanted = model.net(tokens).sigmoid()[:, 0]
    for name, rows in (("lines.txt", [1, 3, 4]), ("many", [None] * 3), ("table.csv", [2, 3, 4])):
        said = model.predict(tmp_path / name, at_once=2)
        assert [one.row for one in said] == rows
        assert torch.tensor([one.probabilities["positive"] for one in said]) == pytest.approx(wanted, abs=1e-6)


def test_a_text_that_is_none_is_refused_by_file_and_line(tmp_path):
    _, model = imdb(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"good\n\xff\xfe\n")
    with pytest.raises(UserError, match=r"a.txt, line 2: not text in UTF-8"):
        model.predict(tmp_path / "a.txt")
    (tmp_path / "a.csv").write_text("text,label\nfine,1\n ,1\n")
    with pytest.raises(UserError, match=r"a.csv, line 3, column 'text': the text is empty"):
        model.predict(tmp_path / "a.csv")


@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_forecasts_are_prices_wherever_the_file_is_cut_into_parts(quantity, tmp_path):
    days = [f"2024-01-{day:02}" for day in range(1, 31)]
    rows = [f"{day},{100 + 3 * (number % 4) + number}\n" for number, day in enumerate(days)]
    (tmp_path / "stocks").mkdir()
    (tmp_path / "stocks/GOOG.csv").write_text("Date,Close\n" + "".join(rows))
    data = Stock(dir=str(tmp_path), quantity=quantity, look_back=3, horizon=2)
    data.setup("fit")
    model = untrained(data.spec, data.preprocessing, tmp_path, Linear(data.spec))
    whole, *cut = (model.predict(tmp_path / "stocks/GOOG.csv", at_once=size) for size in (100, 4, 1))
    for parts in cut:
        assert [(one.row, one.facts) for one in whole] == [(one.row, one.facts) for one in parts]
        assert [one.value for one in whole] == pytest.approx([one.value for one in parts])
    assert len(whole) == 30 - 2 - (quantity == "returns")
    assert whole[-1].facts == {"last_day": "2024-01-30", "last_price": 132.0}
    assert whole[-1].row == 31
    with torch.no_grad():
        meant = data.to_prices("test", model.net(data.splits["test"].inputs))
    assert [one.value for one in whole[-8:-2]] == pytest.approx(meant.forecast.tolist())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Date,Open\n2024-01-01,1\n2024-01-02,2\n", "no column 'Close'"),
        ("Date,Close\n2024-01-01,1\n2024-01-02,x\n", "a.csv, line 3, column 'Close': 'x' is no price"),
        ("Date,Close\n2024-01-01,1\n2024-01-02,2\n", "a.csv: has 2 days, and a forecast needs 4"),
        ("Date,Close\n" + "2024-01-01,1\n" * 9, "a.csv, line 3, column 'Date': .* the same day as"),
        ("Date,Close\n2024-01-02,1\n2024-01-01,1\n", "line 3, column 'Date': 2024-01-01 is before 2024-01-02 in"),
    ],
)
def test_prices_that_are_none_are_refused_by_file_and_line(text, message, tmp_path):
    data = Stock(look_back=3)
    model = untrained(data.spec, data.preprocessing, tmp_path)
    (tmp_path / "a.csv").write_text(text)
    for size in (1, 100):
        with pytest.raises(UserError, match=message):
            model.predict(tmp_path / "a.csv", at_once=size)


def test_data_that_do_not_say_how_files_are_read_still_take_tensors(tmp_path):
    model = untrained(ROWS, None, tmp_path)
    assert len(model.predict(torch.zeros(3, 2))) == 3
    with pytest.raises(UserError, match="data 'rows' does not say how files are read"):
        model.predict("a.csv")


def test_a_setting_of_other_data_is_refused(tmp_path):
    with pytest.raises(UserError, match="fit: there is no such setting for data 'rows'"):
        untrained(ROWS, plain(2), tmp_path).predict("a.csv", fit="crop")


def test_every_data_set_of_ours_says_how_its_files_are_read():
    for kind in (Digits, MNIST, CIFAR10, IMDB, Diabetes, Stock, XOR, Line, Threshold):
        assert kind(batch_size=4).preprocessing, kind
