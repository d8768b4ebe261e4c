"""Forecasts for files of prices."""

from dataclasses import replace

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.stock import Stock
from trainer.inference.load_checkpoint import LoadedCheckpoint
from trainer.inference.predictor import Predictor
from trainer.model.linear import Linear

OBJECTIVE = {"_target_": "trainer.task.objective.make_objective", "_partial_": True}


def untrained(spec, preprocessing, tmp_path, net=None, **objective):
    torch.manual_seed(1)
    network = (net or Linear(spec)).eval()
    config = {"objective": OBJECTIVE | objective}
    return Predictor(LoadedCheckpoint(tmp_path / "a.ckpt", network, spec, preprocessing, config, {}, {}))


@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_forecasts_are_prices_for_every_batch_size(quantity, tmp_path):
    days = [f"2024-01-{day:02}" for day in range(1, 31)]
    rows = [f"{day},{100 + 3 * (number % 4) + number}\n" for number, day in enumerate(days)]
    (tmp_path / "stocks").mkdir()
    (tmp_path / "stocks/GOOG.csv").write_text("Date,Close\n" + "".join(rows))
    data = Stock(dir=str(tmp_path), quantity=quantity, window=3, horizon=2)
    data.setup("fit")
    torch.manual_seed(1)
    net = Linear(data.spec)
    torch.nn.init.ones_(net.layer.bias)  # near 0, the rounding of a batch of another size would be relatively large
    model = untrained(data.spec, data.preprocessing, tmp_path, net)
    reference, *others = (model.predict(tmp_path / "stocks/GOOG.csv", batch_size=size) for size in (100, 4, 1))
    for predictions in others:
        assert [(a.row, a.facts) for a in reference] == [(b.row, b.facts) for b in predictions]
        assert [a.value for a in reference] == pytest.approx([b.value for b in predictions])
    assert len(reference) == 30 - 2 - (quantity == "returns")
    assert reference[-1].facts == {"last_day": "2024-01-30", "last_price": 132.0}
    assert reference[-1].row == 31
    with torch.no_grad():
        prices = data.to_prices("test", model.net(data.splits["test"].inputs))[2]
    assert [a.value for a in reference[-8:-2]] == pytest.approx(prices.forecast.tolist())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Date,Name\n2024-01-01,x\n2024-01-02,y\n", "data.price_column: .* no column of numbers"),
        ("Date,Close\n2024-01-01,1\n2024-01-02,x\n", "a.csv, line 3, column 'Close': 'x' is not a price"),
        ("Date,Close\n2024-01-01,1\n2024-01-02,2\n", "a.csv: has 2 rows, but a forecast needs 4"),
        ("Date,Close\n2024-01-01,1\n2024-01-01,2\n", "a.csv, line 3, column 'Date': .* is the same time as line 2"),
    ],
)
def test_invalid_prices_are_refused_with_file_and_line(text, message, tmp_path):
    data = Stock(window=3)
    model = untrained(data.spec, data.preprocessing, tmp_path)
    (tmp_path / "a.csv").write_text(text)
    for size in (1, 100):
        with pytest.raises(UserError, match=message):
            model.predict(tmp_path / "a.csv", batch_size=size)


def test_forecasts_of_new_files_are_in_the_order_of_their_days(tmp_path):
    lines = [f"{day:02}.01.2024;{day},5;{day % 4}" for day in range(10, 31)]
    (tmp_path / "a.csv").write_text("Date;Close;Volume\n" + "\n".join(lines))
    data = Stock(
        path="a.csv",
        dir=str(tmp_path),
        window=3,
        horizon=[1, 4],
        input_columns="all",
        val_fraction=0.3,
        test_fraction=0.3,
    )
    data.setup("fit")
    model = untrained(data.spec, data.preprocessing, tmp_path, Linear(data.spec))
    expected = model.predict(tmp_path / "a.csv")
    newest_first = [f'"Jan {day}, 2024",${day}.50,{day % 4}' for day in range(30, 9, -1)]
    (tmp_path / "b.csv").write_text("timestamp,Close,Volume\n" + "\n".join(newest_first))
    predictions = model.predict(tmp_path / "b.csv")
    assert [item.values for item in predictions] == [item.values for item in expected]
    assert [item.facts for item in predictions] == [item.facts for item in expected]
    assert [item.row for item in predictions] == [*range(19, 1, -1)]
    assert model.build_record(predictions[0])["values"].keys() == {"h1", "h4"}


def test_the_price_column_is_found_by_its_name_in_training(tmp_path):
    rows = [f"2024-01-{day},{day},{day + 0.5}" for day in range(10, 31)]
    (tmp_path / "a.csv").write_text("\n".join(["Date,Close,Open", *rows]))
    data = Stock(path="a.csv", dir=str(tmp_path), price_column=1, window=2)
    data.setup("fit")
    (tmp_path / "b.csv").write_text("\n".join(["Date,Volume,Close", *rows]))
    part = next(data.preprocessing.read([tmp_path / "b.csv"], 100))
    assert part.facts["last_price"][-1] == 30.5  # of the third column


def test_prices_in_memory_are_read_as_their_file(tmp_path):
    data = Stock(window=3)
    scales = {"input_scales": ((0.0, 1.0),)}
    model = untrained(data.spec, replace(data.preprocessing, **scales), tmp_path)
    rows = [{"Date": f"2024-01-{day:02}", "Close": 100.0 + day % 4} for day in range(1, 9)]
    (tmp_path / "a.csv").write_text("Date,Close\n" + "".join(f"{row['Date']},{row['Close']}\n" for row in rows))
    expected = model.predict(tmp_path / "a.csv")
    for predictions in (model.predict(rows), model.predict(rows, batch_size=2)):
        assert [item.value for item in predictions] == pytest.approx([item.value for item in expected])
        assert [item.facts for item in predictions] == [item.facts for item in expected]
        assert {item.source for item in predictions} == {""}
    with pytest.raises(UserError, match=r"^rows in memory, row 2, column 'Close': 'x' is not a price"):
        model.predict([{"Date": "2024-01-01", "Close": "1"}, {"Date": "2024-01-02", "Close": "x"}])
