"""Values: a picture of what a network says beside what is true."""

from typing import Any

import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.line_chart import BLACK, ORANGE, SILVER, Line, chart
from trainer.callbacks.plots.tensorboard import show
from trainer.core.spec import Batch
from trainer.task.objective import Objective

SIZE = (640, 420)  # pixels


class ValuePictures(Callback):
    """Draw `test/values` after the test of data whose targets are values: predictions beside the truth.

    Where an input is a single number it stands below, as in a plot of y against x; otherwise the truth stands below,
    and what is right lies on the diagonal. Only a first of several values is drawn.

    Args:
        examples: How many at most, the first ones of the split.
    """

    affects_training = False

    def __init__(self, *, examples: int = 1000) -> None:
        self.examples = examples
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        objective = getattr(pl_module, "objective", None)  # a task may have none
        if not isinstance(objective, Objective) or objective.spec.target != "values" or not trainer.is_global_zero:
            return
        if sum(len(targets) for *_, targets in self._kept) < self.examples:
            inputs, targets = batch
            kept = (inputs.flatten(1), objective.predictions(outputs), targets)
            self._kept.append(tuple(tensor.detach().double().cpu() for tensor in kept))  # type: ignore[arg-type]

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._kept:
            return
        inputs, predictions, targets = (torch.cat(parts)[: self.examples] for parts in zip(*self._kept, strict=True))
        self._kept = []
        finite = predictions[:, 0].isfinite()  # a network that diverged says NaN
        if finite.any():
            show(lambda: draw(inputs[finite], predictions[finite, 0], targets[finite, 0]), "test/values", trainer)


def draw(inputs: Tensor, predictions: Tensor, targets: Tensor) -> Image.Image:
    """Truth and prediction over the input, where that is one number; else the prediction over the truth.

    Shapes:
        inputs: (examples, numbers)
        predictions: (examples,)
        targets: (examples,)
    """
    if inputs.shape[1] == 1:
        x, order = inputs[:, 0], inputs[:, 0].argsort()
        truth = Line("truth", BLACK, targets, x, dots=True)
        return chart([truth, Line("prediction", ORANGE, predictions[order], x[order])], None, "over the input", SIZE)
    ends = torch.stack([targets.min(), targets.max()])
    lines = [Line("right", SILVER, ends, ends), Line("prediction", ORANGE, predictions, targets, dots=True)]
    return chart(lines, None, "over the truth", SIZE)
