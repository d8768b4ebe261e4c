"""Price forecast: errors in prices beside the naive forecast's, and a picture of the same days."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from threading import Barrier
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim import SGD

from trainer.callbacks.plots.line_chart import BLACK, BOTTOM, LEFT, RIGHT, TOP, Line, chart, grid
from trainer.callbacks.price_forecast import ORANGE, PriceForecast, draw, errors, gathered
from trainer.data.line import Line as Points
from trainer.data.stock import Stock
from trainer.model.linear import Linear
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


class Known(NamedTuple):
    """A forecast written down."""

    days: list[str]
    forecast: torch.Tensor
    today: torch.Tensor
    actual: torch.Tensor


def known(forecast=(11.0, 14.0), today=(10.0, 12.0), actual=(12.0, 13.0)):
    days = [f"2020-01-{number + 1:02}" for number in range(len(actual))]
    return Known(days, *(torch.tensor(numbers) for numbers in (forecast, today, actual)))


@pytest.fixture
def prices(tmp_path):
    """40 days of prices, the last 8 for the test and 4 before them for validation."""

    def stock(**settings):
        rows = [f"{date(2020, 1, 1) + timedelta(day)},{100 + 5 * (day % 3) + day}" for day in range(40)]
        (tmp_path / "a.csv").write_text("\n".join(["Date,Close", *rows]))
        return Stock(dir=str(tmp_path), path="a.csv", look_back=3, eval_batch_size=3, **settings)

    return stock


def run(tmp_path, data, task=None, *, fit=False, **settings):
    """Test (and train) with the callback; returns the task, the metrics and the pictures."""
    task = task or Supervised(Linear(data.spec), objective_for(data.spec), partial(SGD, lr=0.01), constant)
    logger = TensorBoardLogger(tmp_path, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=logger,
        callbacks=[PriceForecast()],
        log_every_n_steps=1,
        **quiet | settings,
    )
    if fit:
        trainer.fit(task, data)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
    trainer.test(task, data, verbose=False)
    metrics |= {name: value.item() for name, value in trainer.callback_metrics.items()}
    logger.experiment.flush()
    board = EventAccumulator(str(tmp_path / "board"), size_guidance={"images": 0})
    board.Reload()
    return task, metrics, {tag: board.Images(tag) for tag in board.Tags()["images"]}


def naive_task(data):
    """A network that says 0 of every window."""
    task = Supervised(Linear(data.spec), objective_for(data.spec), partial(SGD, lr=0.0), constant)
    torch.nn.init.zeros_(task.net.layer.weight)
    torch.nn.init.zeros_(task.net.layer.bias)
    return task


def test_errors_are_worked_out_in_prices():
    # the forecast is off by 1 and 1, the naive one by 2 and 1
    assert errors(known()) == pytest.approx(
        {
            "mae_price": 1.0,
            "rmse_price": 1.0,
            "naive_mae_price": 1.5,
            "naive_rmse_price": 2.5**0.5,
            "rmse_to_naive": 0.4**0.5,
        }
    )


def test_where_the_price_never_changes_the_naive_forecast_cannot_be_beaten():
    assert errors(known((5.0, 6.0), (5.0, 5.0), (5.0, 5.0)))["rmse_to_naive"] == float("inf")


@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_the_test_logs_errors_over_all_its_windows(tmp_path, prices, quantity):
    data = prices(quantity=quantity)
    task, metrics, _ = run(tmp_path, data)
    outputs = task(data.splits["test"].inputs)
    expected = errors(data.to_prices("test", outputs))
    assert {name: metrics[f"test/{name}"] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_naive_errors_are_those_of_the_price_that_stays(tmp_path, prices):
    data = prices()
    _, metrics, _ = run(tmp_path, data, naive_task(data))
    steps = [6, -9, 6, 6, -9, 6, 6, -9]  # to days 32 to 39 of 100 + 5 * (day % 3) + day
    assert metrics["test/naive_mae_price"] == pytest.approx(sum(map(abs, steps)) / 8)
    assert metrics["test/naive_rmse_price"] == pytest.approx((sum(step**2 for step in steps) / 8) ** 0.5)


def test_validation_is_judged_too_and_apart_from_the_test(tmp_path, prices):
    data = prices()
    task, metrics, _ = run(tmp_path, data, naive_task(data), fit=True)
    for stage in ("val", "test"):
        expected = errors(data.to_prices(stage, task(data.splits[stage].inputs)))
        assert metrics[f"{stage}/rmse_to_naive"] == pytest.approx(expected["rmse_to_naive"], rel=1e-5)


def test_the_names_it_promises_are_the_names_it_logs(tmp_path, prices):
    data = prices()
    _, metrics, _ = run(tmp_path, data, fit=True)
    assert set(PriceForecast().logged(data)) == {name for name in metrics if name.endswith(("_price", "_to_naive"))}
    assert PriceForecast().logged(Points()) == []


def test_a_test_cut_short_is_judged_by_its_first_windows(tmp_path, prices):
    data = prices()
    task, metrics, _ = run(tmp_path, data, limit_test_batches=2)
    expected = errors(data.to_prices("test", task(data.splits["test"].inputs[:6])))
    assert metrics["test/mae_price"] == pytest.approx(expected["mae_price"], rel=1e-5)


@pytest.mark.parametrize("rows", [5, 6])
def test_outputs_of_several_processes_are_put_into_the_order_of_the_windows(rows):
    everyone, meeting = [None, None], Barrier(2)

    def process(rank):
        def reduce(tensor, reduce_op):
            everyone[rank] = tensor
            meeting.wait()
            total = sum(everyone)
            meeting.wait()
            return total

        trainer = SimpleNamespace(world_size=2, global_rank=rank, strategy=SimpleNamespace(reduce=reduce))
        return gathered(torch.arange(float(rows))[rank::2, None], trainer)

    with ThreadPoolExecutor(2) as processes:
        for whole in processes.map(process, range(2)):
            assert whole.tolist() == [[float(row)] for row in range(rows)]


def test_tensorboard_gets_the_picture(tmp_path, prices):
    data = prices()
    task, _, board = run(tmp_path, data)
    assert list(board) == ["test/forecast"]
    picture = np.asarray(Image.open(io.BytesIO(board["test/forecast"][0].encoded_image_string)))
    expected = draw(data.to_prices("test", task(data.splits["test"].inputs)), 60)
    assert (picture == np.asarray(expected)).all()


def test_data_that_are_no_prices_get_neither_numbers_nor_pictures(tmp_path):
    _, metrics, board = run(tmp_path, Points())
    assert set(metrics) == {"test/loss", "test/mae", "test/rmse", "test/r2"}
    assert board == {}


def coloured(picture, colour):
    """Where a picture has a colour: rows and columns."""
    return (np.abs(np.asarray(picture).astype(int) - colour).sum(2) < 30).nonzero()


def test_a_line_goes_from_the_first_day_on_the_left_to_the_last_on_the_right_and_up_with_its_values():
    size = (300, 200)
    picture = np.asarray(chart([Line("", ORANGE, torch.tensor([1.0, 2.0, 3.0]))], ["a", "b", "c"], "", size))
    rows, columns = coloured(picture, ORANGE)
    assert columns.min() <= LEFT + 4
    assert columns.max() >= 300 - RIGHT - 5
    height = 200 - TOP - BOTTOM
    # the room above and below is a twentieth of the range, which is 1.1 times as high as the values
    assert TOP + 0.05 / 1.1 * height == pytest.approx(rows.min(), abs=4)
    assert TOP + 1.05 / 1.1 * height == pytest.approx(rows.max(), abs=4)
    assert rows[columns == columns.min()].mean() > rows[columns == columns.max()].mean()


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (437, 806, [500, 600, 700, 800]),
        (0.012, 0.031, [0.015, 0.02, 0.025, 0.03]),
        (-3, 3, [-2, 0, 2]),
    ],
)
def test_the_grid_stands_at_round_values(low, high, values):
    assert grid(low, high) == pytest.approx(values)


@pytest.mark.parametrize("values", [[5.0, 5.0], [5.0]])
def test_a_line_that_is_flat_or_a_single_day_is_drawn(values):
    days = ["2020-01-01"] * len(values)
    assert chart([Line("price", BLACK, torch.tensor(values))], days, "title", (200, 100)).size == (200, 100)


def test_the_lower_chart_shows_the_last_days_alone():
    many = known(*[tuple(float(100 * (day < 50) + day) for day in range(60))] * 3)
    whole, changed = (
        np.asarray(draw(forecast, last_days=10))
        for forecast in (many, many._replace(actual=torch.where(torch.arange(60) == 5, 180.0, many.actual)))
    )
    assert (whole[:320] != changed[:320]).any()
    assert (whole[320:] == changed[320:]).all()
