"""Predictions on files of most types, on streams and on tensors; those of texts have a file of their own."""

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
from trainer.data.preprocessing.tabular import make_passthrough, make_preprocessing
from trainer.data.stock import Stock
from trainer.data.tabular.columns import Column
from trainer.data.threshold import Threshold
from trainer.data.xor import XOR
from trainer.inference.load_checkpoint import LoadedCheckpoint
from trainer.inference.predictor import Predictor
from trainer.model.linear import Linear

OBJECTIVE = {"_target_": "trainer.task.objective.make_objective", "_partial_": True}
ROWS = DataSpec("rows", "vector", (2,), "classification", 1, ("no", "yes"))
NUMBERED = make_preprocessing([Column(0, "", "number"), Column(1, "", "number")], width=3)
NAMED = make_preprocessing(
    [Column(0, "age", "number"), Column(1, "mass", "number")], width=3, names=("age", "mass", "x")
)
VALUES = DataSpec("rows", "vector", (2,), "regression", 2)


def untrained(spec, preprocessing, tmp_path, net=None, **objective):
    torch.manual_seed(1)
    network = (net or Linear(spec)).eval()
    config = {"objective": OBJECTIVE | objective}
    return Predictor(LoadedCheckpoint(tmp_path / "a.ckpt", network, spec, preprocessing, config, {}, {}))


def test_a_prediction_has_a_class_and_probabilities(tmp_path):
    model = untrained(ROWS, make_passthrough(2), tmp_path)
    (tmp_path / "a.csv").write_text("1,2\n\n-3,4\n")
    first, second = model.predict(tmp_path / "a.csv")
    assert (first.source, first.row, second.row) == (str(tmp_path / "a.csv"), 1, 3)
    logit = model.net(torch.tensor([[1.0, 2.0]])).item()
    assert first.probabilities["yes"] == pytest.approx(1 / (1 + 2.718281828**-logit))
    assert sum(first.probabilities.values()) == pytest.approx(1)
    assert (first.label, first.probability) == max(first.probabilities.items(), key=lambda item: item[1])


def test_a_prediction_has_all_values(tmp_path):
    model = untrained(VALUES, make_passthrough(2), tmp_path)
    [prediction] = model.predict(torch.tensor([[1.0, 2.0]]))
    assert prediction.values == tuple(model.net(torch.tensor([[1.0, 2.0]]))[0].tolist())
    assert (prediction.source, prediction.row, prediction.label) == ("", 0, None)
    assert prediction.value == prediction.values[0]


def test_a_tensor_and_a_file_have_equal_predictions(tmp_path):
    model = untrained(ROWS, make_passthrough(2), tmp_path)
    inputs = torch.randn(7, 2)
    (tmp_path / "a.csv").write_text("".join(f"{a},{b}\n" for a, b in inputs.tolist()))
    from_file = [prediction.label for prediction in model.predict([tmp_path / "a.csv"], batch_size=3)]
    assert from_file == [prediction.label for prediction in model.predict(inputs, batch_size=2)]


def test_the_scores_of_a_hinge_loss_are_not_called_probabilities(tmp_path):
    assert untrained(ROWS, make_passthrough(2), tmp_path).has_probabilities
    assert not untrained(ROWS, make_passthrough(2), tmp_path, loss="hinge").has_probabilities


def test_columns_are_selected_by_name_and_missing_numbers_are_replaced_by_the_training_mean(tmp_path):
    preprocessing = make_preprocessing(
        [Column(0, "a", "number"), Column(2, "c", "number")],
        width=4,
        names=("a", "b", "c", "y"),
        missing=("", "?"),
        mean=torch.tensor([10.0, 20.0]).double(),
        std=torch.ones(2).double(),
    )
    (tmp_path / "a.csv").write_text("c,other,a\n21,x,11\n?,y,12\n")
    [part] = preprocessing.read([tmp_path / "a.csv"], 10)
    assert preprocessing.prepare(part.inputs).tolist() == [[1.0, 1.0], [2.0, 0.0]]
    assert part.rows == [2, 3]


@pytest.mark.parametrize(
    ("preprocessing", "text", "message"),
    [
        (NAMED, "age,mas\n1,2\n", "a.csv, line 1: no column 'mass'; did you mean 'mas'"),
        (NAMED, "x,y\n1,2\n", "no column 'age'.*of 2 that are missing: age, mass"),
        (
            NUMBERED,
            "1,2,3,4\n",
            "a.csv, line 1: 4 columns, but the network takes 2, or 3 as in the training file$",
        ),
        (make_passthrough(2), "1,2,3\n", "a.csv, line 1: 3 columns, but the network takes 2$"),
        (
            make_passthrough(2),
            "1,2\n1,x\n",
            r"a.csv, line 2, column 1 \(counted from 0\) has 'x', expected a number; fix or remove the line$",
        ),
        (make_passthrough(2), "1,2\n1\n", "a.csv, line 2: 1 cells, but line 1 has 2"),
        (make_passthrough(2), "", "a.csv: no rows"),
    ],
)
def test_an_invalid_row_is_refused_with_file_and_line(preprocessing, text, message, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        untrained(ROWS, preprocessing, tmp_path).predict(tmp_path / "a.csv")


def test_a_table_may_have_one_column(tmp_path):
    (tmp_path / "a.csv").write_text("1\n2\n")
    [part] = make_passthrough(1).read([tmp_path / "a.csv"], 10)
    assert part.inputs.tolist() == [[1.0], [2.0]]


def peak(model, tmp_path, rows):
    """Return the number of predictions for rows from a pipe, and the peak memory in bytes."""
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
        count = sum(1 for _ in model.stream([pipe], batch_size=100))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        writer.join()


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path):
    model = untrained(ROWS, make_passthrough(2), tmp_path)
    short = peak(model, tmp_path, 500)
    long = peak(model, tmp_path, 5000)
    assert (short[0], long[0]) == (500, 5000)
    assert long[1] < short[1] + 100_000  # lists would take ten times more


def test_predictions_are_yielded_before_all_files_are_listed(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    requested = []

    def files():
        for number in range(3):
            requested.append(number)
            yield tmp_path / "a.csv"

    stream = untrained(ROWS, make_passthrough(2), tmp_path).stream(files(), batch_size=1)
    next(stream)
    assert requested == [0]
    assert len([*stream]) == 2


def test_without_preprocessing_only_tensors_are_accepted(tmp_path):
    model = untrained(ROWS, None, tmp_path)
    assert len(model.predict(torch.zeros(3, 2))) == 3
    with pytest.raises(UserError, match="data 'rows' has no preprocessing of files"):
        model.predict("a.csv")


def test_an_unknown_option_is_refused(tmp_path):
    with pytest.raises(UserError, match="fit: unknown option for data 'rows'"):
        untrained(ROWS, make_passthrough(2), tmp_path).predict("a.csv", fit="crop")


def test_every_data_set_has_preprocessing():
    for kind in (Digits, MNIST, CIFAR10, IMDB, Diabetes, Stock, XOR, Line, Threshold):
        assert kind(batch_size=4).preprocessing, kind
