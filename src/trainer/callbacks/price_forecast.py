"""Errors of a price forecast and of the naive forecast, and a chart of both in TensorBoard."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.line_chart import Axes, Line, draw_chart
from trainer.callbacks.plots.media import log_image
from trainer.callbacks.plots.style import BLACK, ORANGE, SILVER, WHITE
from trainer.core.callback import Callback
from trainer.core.logged_metrics import PRICE_METRICS
from trainer.core.spec import Batch
from trainer.task.objective_lookup import find_objective

CHART_WIDTH_PIXELS = 760
CHART_HEIGHT_PIXELS = 360  # of each of the two charts


class Forecast(Protocol):
    """A forecast in prices, one entry for each window: day, forecast, price before it and actual price."""

    days: list[str]
    forecast: Tensor
    today: Tensor
    actual: Tensor


@runtime_checkable
class SupportsPrices(Protocol):
    """Data whose targets can be converted to prices, e.g. `trainer.data.stock`.

    Attributes:
        horizons: Rows from the last row of a window to each target.
    """

    horizons: Sequence[int]

    def to_prices(self, stage: Any, outputs: Tensor) -> Mapping[int, Forecast]:
        """Convert outputs (windows, horizons) for the first windows of a split, in order, to prices by horizon."""
        ...


class PriceForecast(Callback):
    """Log the errors of a forecast in prices, in validation and test. Does nothing for data without prices.

    Logs `test/mae_price` and `test/rmse_price`; `test/naive_mae_price` and `test/naive_rmse_price` of the forecast
    that the price does not change, on the same days; and `test/relative_rmse`, their ratio: below 1 is better than
    naive. The same with `val/`. After the test, draws `test/price_forecast`. With several horizons, the names end in
    the horizon: `test/relative_rmse_h5`.

    Args:
        last_days: Number of days in the lower chart, which shows single days.
    """

    affects_training = False

    def __init__(self, *, last_days: int = 60) -> None:
        self.last_days = last_days
        self._predictions: list[Tensor] = []
        self._has_prices = False

    def logged_metrics(self, data: Any) -> list[str]:
        """Return the names of all metrics that are logged with these data; other callbacks may monitor them."""
        suffixes = name_horizons(data.horizons) if isinstance(data, SupportsPrices) else ()
        return [f"{stage}/{name}{suffix}" for stage in ("val", "test") for suffix in suffixes for name in PRICE_METRICS]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._has_prices = isinstance(trainer.datamodule, SupportsPrices)  # type: ignore[attr-defined]

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        objective = find_objective(pl_module, outputs, batch)
        if objective and self._has_prices:
            self._predictions.append(objective.predictions(outputs).detach())

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._log_errors("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for suffix, forecast in self._log_errors("test", trainer, pl_module).items():
            log_image(partial(draw_forecast, forecast, self.last_days), f"test/price_forecast{suffix}", trainer)

    def _log_errors(self, stage: str, trainer: Trainer, pl_module: LightningModule) -> dict[str, Forecast]:
        """Log the errors of all predictions of a stage; return the forecasts by the suffix of their names."""
        if not self._predictions:
            return {}
        outputs = gather_outputs(torch.cat(self._predictions), trainer)
        self._predictions = []
        data: SupportsPrices = trainer.datamodule  # type: ignore[attr-defined]
        by_horizon = data.to_prices(stage, outputs)
        forecasts = dict(zip(name_horizons(data.horizons), by_horizon.values(), strict=True))
        metrics = {
            f"{stage}/{name}{suffix}": value
            for suffix, forecast in forecasts.items()
            for name, value in compute_errors(forecast).items()
        }
        pl_module.log_dict(metrics, sync_dist=True)  # equal in all processes; prevents a warning of Lightning
        return forecasts


def name_horizons(horizons: Sequence[int]) -> list[str]:
    """Return the ending of the metrics of each horizon: `_h5`, or "" if there is only one horizon."""
    return [f"_h{horizon}" for horizon in horizons] if len(horizons) > 1 else [""]


def gather_outputs(outputs: Tensor, trainer: Trainer) -> Tensor:
    """Return the outputs of all processes in the order of the windows, which are distributed round-robin."""
    if trainer.world_size == 1:
        return outputs
    count = int(trainer.strategy.reduce(torch.tensor(len(outputs), device=outputs.device), reduce_op="sum"))
    padded = outputs.new_zeros(count, *outputs.shape[1:])
    padded[trainer.global_rank :: trainer.world_size] = outputs
    gathered: Tensor = trainer.strategy.reduce(padded, reduce_op="sum")
    return gathered


def compute_errors(forecast: Forecast) -> dict[str, float]:
    """Return MAE and RMSE in prices of the forecast and of the naive forecast, and the ratio of both RMSE."""
    errors = forecast.forecast - forecast.actual
    naive_errors = forecast.today - forecast.actual
    rmse = errors.square().mean().sqrt().item()
    naive_rmse = naive_errors.square().mean().sqrt().item()
    return {
        "mae_price": errors.abs().mean().item(),
        "rmse_price": rmse,
        "naive_mae_price": naive_errors.abs().mean().item(),
        "naive_rmse_price": naive_rmse,
        "relative_rmse": rmse / naive_rmse if naive_rmse else float("inf"),
    }


def draw_forecast(forecast: Forecast, last_days: int) -> Image.Image:
    """Return a chart of price and forecast on all days, above one of the last days with the naive forecast."""
    naive, *lines = [
        Line("naive forecast", SILVER, forecast.today),
        Line("price", BLACK, forecast.actual),
        Line("forecast", ORANGE, forecast.forecast),
    ]
    last_lines = [line._replace(values=line.values[-last_days:]) for line in (naive, *lines)]
    days = forecast.days[-last_days:]
    size = (CHART_WIDTH_PIXELS, CHART_HEIGHT_PIXELS)
    image = Image.new("RGB", (CHART_WIDTH_PIXELS, 2 * CHART_HEIGHT_PIXELS), WHITE)
    for y, charted, names, title in (
        (0, lines, forecast.days, f"Price forecast for all {len(forecast.days):,} days"),
        (CHART_HEIGHT_PIXELS, last_lines, days, f"The last {len(days)} days, with the naive forecast"),
    ):
        image.paste(draw_chart(charted, Axes(title, "day", "price", names), size), (0, y))
    return image
