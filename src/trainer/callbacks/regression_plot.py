"""Plot of predictions and targets of a regression, in TensorBoard."""

from typing import Any

import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.line_chart import Axes, Line, draw_chart
from trainer.callbacks.plots.media import log_image
from trainer.callbacks.plots.style import BLACK, ORANGE, SILVER
from trainer.core.callback import Callback
from trainer.core.spec import Batch
from trainer.task.objective_lookup import find_objective

PLOT_SIZE_PIXELS = (640, 520)


class RegressionPlot(Callback):
    """Draw `test/regression_plot` after the test of a regression.

    If an input is a single number, predictions and targets are plotted over it; otherwise predictions are plotted over
    the targets, and correct ones are on the diagonal. Of several values only the first is plotted.

    Args:
        examples: Largest number of examples; the first ones of the split are used.
    """

    affects_training = False

    def __init__(self, *, examples: int = 1000) -> None:
        self.examples = examples
        self._collected: list[tuple[Tensor, Tensor, Tensor]] = []

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        objective = find_objective(pl_module, outputs, batch)
        if objective is None or objective.spec.target != "regression" or not trainer.is_global_zero:
            return
        if sum(len(targets) for *_, targets in self._collected) < self.examples:
            inputs, targets = batch
            tensors = (inputs.flatten(1), objective.predictions(outputs), targets)
            columns = tuple(tensor.detach().double().cpu() for tensor in tensors)
            self._collected.append(columns)  # type: ignore[arg-type]

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._collected:
            return
        inputs, predictions, targets = (
            torch.cat(parts)[: self.examples] for parts in zip(*self._collected, strict=True)
        )
        self._collected = []
        finite = predictions[:, 0].isfinite()  # a network that diverged returns NaN
        if finite.any():
            columns = (inputs[finite], predictions[finite, 0], targets[finite, 0])
            log_image(lambda: draw_regression(*columns), "test/regression_plot", trainer)


def draw_regression(inputs: Tensor, predictions: Tensor, targets: Tensor) -> Image.Image:
    """Return a chart of targets and predictions over the input if that is one number, else of predictions over targets.

    Shapes:
        inputs: (examples, numbers)
        predictions: (examples,)
        targets: (examples,)
    """
    if inputs.shape[1] == 1:
        x = inputs[:, 0]
        order = x.argsort()
        lines = [
            Line("true value", BLACK, targets, x, dots=True),
            Line("prediction", ORANGE, predictions[order], x[order]),
        ]
        return draw_chart(lines, Axes("Targets and predictions over the input", "input", "value"), PLOT_SIZE_PIXELS)
    ends = torch.stack([targets.min(), targets.max()])
    lines = [Line("correct", SILVER, ends, ends), Line("prediction", ORANGE, predictions, targets, dots=True)]
    axes = Axes(f"{len(targets):,} predictions over their true values", "true value", "predicted value")
    return draw_chart(lines, axes, PLOT_SIZE_PIXELS)
