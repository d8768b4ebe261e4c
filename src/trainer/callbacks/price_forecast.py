"""Price forecast: errors in prices, beside those of the naive forecast, and a picture of both in TensorBoard."""

from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.line_chart import BLACK, ORANGE, SILVER, WHITE, Line, chart
from trainer.callbacks.plots.tensorboard import show
from trainer.core.spec import Batch
from trainer.task.objective import Objective

WIDTH, HEIGHT = 960, 320  # pixels of each of the two charts


class Forecast(Protocol):
    """What data say of a forecast, one entry a window."""

    days: list[str]
    forecast: Tensor
    today: Tensor
    actual: Tensor


@runtime_checkable
class PriceSeries(Protocol):
    """Data whose values are prices in disguise: `trainer.data.stock`, or a data module of your own."""

    def to_prices(self, stage: Any, outputs: Tensor) -> Forecast:
        """In prices, what a network says of the first windows of a split, in their order: outputs (windows, 1)."""
        ...


class PriceForecast(Callback):
    """Judge a forecast in prices, in validation and test; be silent for data that are no `PriceSeries`.

    Logs `test/mae_price` and `test/rmse_price`; `test/naive_mae_price` and `test/naive_rmse_price`, of the
    forecast that the price stays as it is, on the same days; and `test/rmse_to_naive`, their ratio: below 1 is
    better than naive. The same with `val/`. After the test, draws `test/forecast`.

    Args:
        last_days: The lower chart shows so many, where single days can be told apart.
    """

    affects_training = False

    def __init__(self, *, last_days: int = 60) -> None:
        self.last_days = last_days
        self._outputs: list[Tensor] = []
        self._in_prices = False

    def logged(self, data: Any) -> list[str]:
        """Names of all metrics that are logged with these data; callbacks may wait for any of them."""
        names = ("mae_price", "rmse_price", "naive_mae_price", "naive_rmse_price", "rmse_to_naive")
        return [f"{stage}/{name}" for stage in ("val", "test") for name in names if isinstance(data, PriceSeries)]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._in_prices = isinstance(trainer.datamodule, PriceSeries)  # type: ignore[attr-defined]

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        self._keep(trainer, pl_module, outputs)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        self._keep(trainer, pl_module, outputs)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._judge("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        forecast = self._judge("test", trainer, pl_module)
        if forecast:
            show(partial(draw, forecast, self.last_days), "test/forecast", trainer)

    def _keep(self, trainer: Trainer, pl_module: LightningModule, outputs: Any) -> None:
        if outputs is not None and self._in_prices:
            objective = pl_module.objective
            assert isinstance(objective, Objective)
            self._outputs.append(objective.predictions(outputs).detach())

    def _judge(self, stage: str, trainer: Trainer, pl_module: LightningModule) -> Forecast | None:
        if not self._outputs:
            return None
        outputs, self._outputs = gathered(torch.cat(self._outputs), trainer), []
        forecast: Forecast = trainer.datamodule.to_prices(stage, outputs)  # type: ignore[attr-defined]
        scores = {f"{stage}/{name}": value for name, value in errors(forecast).items()}
        pl_module.log_dict(scores, sync_dist=True)  # equal in all processes; keeps Lightning quiet
        return forecast


def gathered(mine: Tensor, trainer: Trainer) -> Tensor:
    """Put the outputs of all processes, of which each has every so many-th, into the order of the windows."""
    if trainer.world_size == 1:
        return mine
    all_rows = int(trainer.strategy.reduce(torch.tensor(len(mine), device=mine.device), reduce_op="sum"))
    whole = mine.new_zeros(all_rows, *mine.shape[1:])
    whole[trainer.global_rank :: trainer.world_size] = mine
    together: Tensor = trainer.strategy.reduce(whole, reduce_op="sum")
    return together


def errors(forecast: Forecast) -> dict[str, float]:
    """Mean absolute and root mean squared error in prices, of the forecast and of the naive one, and their ratio."""
    off, naive = forecast.forecast - forecast.actual, forecast.today - forecast.actual
    rmse, naive_rmse = off.square().mean().sqrt().item(), naive.square().mean().sqrt().item()
    return {
        "mae_price": off.abs().mean().item(),
        "rmse_price": rmse,
        "naive_mae_price": naive.abs().mean().item(),
        "naive_rmse_price": naive_rmse,
        "rmse_to_naive": rmse / naive_rmse if naive_rmse else float("inf"),
    }


def draw(forecast: Forecast, last_days: int) -> Image.Image:
    """All days above, the last ones below: the price, the forecast, and below also the naive forecast."""
    naive, *lines = [
        Line("naive", SILVER, forecast.today),
        Line("price", BLACK, forecast.actual),
        Line("forecast", ORANGE, forecast.forecast),
    ]
    near = [line._replace(values=line.values[-last_days:]) for line in (naive, *lines)]
    days = forecast.days[-last_days:]
    sheet = Image.new("RGB", (WIDTH, 2 * HEIGHT), WHITE)
    sheet.paste(chart(lines, forecast.days, f"all {len(forecast.days)} days", (WIDTH, HEIGHT)), (0, 0))
    sheet.paste(chart(near, days, f"the last {len(days)} days", (WIDTH, HEIGHT)), (0, HEIGHT))
    return sheet
