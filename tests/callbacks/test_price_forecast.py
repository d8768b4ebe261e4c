"""Errors of a price forecast and of the naive forecast, and their chart."""

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

from trainer.callbacks.price_forecast import (
    CHART_HEIGHT_PIXELS,
    PriceForecast,
    compute_errors,
    draw_forecast,
    gather_outputs,
)
from trainer.data.line import Line as Points
from trainer.data.stock import Stock
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


class FixedForecast(NamedTuple):
    """A forecast with fixed values."""

    days: list[str]
    forecast: torch.Tensor
    today: torch.Tensor
    actual: torch.Tensor


def make_forecast(forecast=(11.0, 14.0), today=(10.0, 12.0), actual=(12.0, 13.0)):
    days = [f"2020-01-{number + 1:02}" for number in range(len(actual))]
    return FixedForecast(days, *(torch.tensor(numbers) for numbers in (forecast, today, actual)))


@pytest.fixture
def prices(tmp_path):
    """Return a factory for 40 days of prices: the last 8 for the test, and 4 before them for validation."""

    def stock(**settings):
        rows = [f"{date(2020, 1, 1) + timedelta(day)},{100 + 5 * (day % 3) + day}" for day in range(40)]
        (tmp_path / "a.csv").write_text("\n".join(["Date,Close", *rows]))
        return Stock(dir=str(tmp_path), path="a.csv", window=3, eval_batch_size=3, **settings)

    return stock


def run(tmp_path, data, task=None, *, fit=False, **settings):
    """Test (and train) with the callback; return the task, the metrics and the images by tag."""
    task = task or Supervised(Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.01), constant)
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
    """Return a task whose network always returns 0."""
    task = Supervised(Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.0), constant)
    torch.nn.init.zeros_(task.net.layer.weight)
    torch.nn.init.zeros_(task.net.layer.bias)
    return task


def test_errors_are_computed_in_prices():
    # errors of the forecast: 1 and 1; of the naive one: 2 and 1
    assert compute_errors(make_forecast()) == pytest.approx(
        {
            "mae_price": 1.0,
            "rmse_price": 1.0,
            "naive_mae_price": 1.5,
            "naive_rmse_price": 2.5**0.5,
            "relative_rmse": 0.4**0.5,
        }
    )


def test_the_relative_error_is_infinite_if_the_price_never_changes():
    assert compute_errors(make_forecast((5.0, 6.0), (5.0, 5.0), (5.0, 5.0)))["relative_rmse"] == float("inf")


@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_errors_are_logged_over_all_windows(tmp_path, prices, quantity):
    data = prices(quantity=quantity)
    task, metrics, _ = run(tmp_path, data)
    outputs = task(data.splits["test"].inputs)
    expected = compute_errors(data.to_prices("test", outputs)[1])
    assert {name: metrics[f"test/{name}"] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_the_naive_forecast_is_the_previous_price(tmp_path, prices):
    data = prices()
    _, metrics, _ = run(tmp_path, data, naive_task(data))
    steps = [6, -9, 6, 6, -9, 6, 6, -9]  # to days 32 to 39 of 100 + 5 * (day % 3) + day
    assert metrics["test/naive_mae_price"] == pytest.approx(sum(map(abs, steps)) / 8)
    assert metrics["test/naive_rmse_price"] == pytest.approx((sum(step**2 for step in steps) / 8) ** 0.5)


def test_errors_of_validation_and_test_are_separate(tmp_path, prices):
    data = prices()
    task, metrics, _ = run(tmp_path, data, naive_task(data), fit=True)
    for stage in ("val", "test"):
        expected = compute_errors(data.to_prices(stage, task(data.splits[stage].inputs))[1])
        assert metrics[f"{stage}/relative_rmse"] == pytest.approx(expected["relative_rmse"], rel=1e-5)


def test_logged_metrics_returns_the_names_that_are_logged(tmp_path, prices):
    data = prices()
    _, metrics, _ = run(tmp_path, data, fit=True)
    assert set(PriceForecast().logged_metrics(data)) == {
        name for name in metrics if name.endswith(("_price", "/relative_rmse"))
    }
    assert PriceForecast().logged_metrics(Points()) == []


def test_metrics_of_several_horizons_have_names_with_the_horizon(tmp_path, prices):
    data = prices(horizon=[1, 2])
    task, metrics, board = run(tmp_path, data)
    forecasts = data.to_prices("test", task(data.splits["test"].inputs))
    for horizon in (1, 2):
        expected = compute_errors(forecasts[horizon])
        assert metrics[f"test/rmse_price_h{horizon}"] == pytest.approx(expected["rmse_price"], rel=1e-5)
    assert {name for name in PriceForecast().logged_metrics(data) if name.startswith("test/")} == {
        name for name in metrics if "price" in name or "relative" in name
    }
    assert [*board] == ["test/price_forecast_h1", "test/price_forecast_h2"]


def test_a_limited_test_uses_its_first_windows(tmp_path, prices):
    data = prices()
    task, metrics, _ = run(tmp_path, data, limit_test_batches=2)
    expected = compute_errors(data.to_prices("test", task(data.splits["test"].inputs[:6]))[1])
    assert metrics["test/mae_price"] == pytest.approx(expected["mae_price"], rel=1e-5)


@pytest.mark.parametrize("rows", [5, 6])
def test_outputs_of_several_processes_are_in_the_order_of_the_windows(rows):
    shares, barrier = [None, None], Barrier(2)

    def process(rank):
        def reduce(tensor, reduce_op):
            shares[rank] = tensor
            barrier.wait()
            total = sum(shares)
            barrier.wait()
            return total

        trainer = SimpleNamespace(world_size=2, global_rank=rank, strategy=SimpleNamespace(reduce=reduce))
        return gather_outputs(torch.arange(float(rows))[rank::2, None], trainer)

    with ThreadPoolExecutor(2) as processes:
        for outputs in processes.map(process, range(2)):
            assert outputs.tolist() == [[float(row)] for row in range(rows)]


def test_the_chart_is_logged(tmp_path, prices):
    data = prices()
    task, _, board = run(tmp_path, data)
    assert list(board) == ["test/price_forecast"]
    picture = np.asarray(Image.open(io.BytesIO(board["test/price_forecast"][0].encoded_image_string)))
    expected = draw_forecast(data.to_prices("test", task(data.splits["test"].inputs))[1], 60)
    assert (picture == np.asarray(expected)).all()


def test_data_without_prices_get_no_metrics_and_no_image(tmp_path):
    _, metrics, board = run(tmp_path, Points())
    assert set(metrics) == {"test/loss", "test/mae", "test/rmse", "test/r2"}
    assert board == {}


def test_the_lower_chart_shows_only_the_last_days():
    forecast_60 = make_forecast(*[tuple(float(100 * (day < 50) + day) for day in range(60))] * 3)
    original, changed = (
        np.asarray(draw_forecast(forecast, last_days=10))
        for forecast in (
            forecast_60,
            forecast_60._replace(actual=torch.where(torch.arange(60) == 5, 180.0, forecast_60.actual)),
        )
    )
    assert (original[:CHART_HEIGHT_PIXELS] != changed[:CHART_HEIGHT_PIXELS]).any()
    assert (original[CHART_HEIGHT_PIXELS:] == changed[CHART_HEIGHT_PIXELS:]).all()
