"""Pictures: images with what the network says of them, right in green and wrong in red, in TensorBoard."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import interpolate

from trainer.callbacks.plots.line_chart import Colour
from trainer.callbacks.plots.tensorboard import show
from trainer.core.spec import Batch
from trainer.task.objective import Objective

GREEN, RED = (0, 130, 0), (200, 0, 0)
TILE, TITLE, GAP = 64, 14, 4  # pixels: side of an image, height of its title, space around
AT_ONCE = 2**21  # numbers of images that are looked at together: a look takes as long for a few


class Judged(NamedTuple):
    """Images (n, channels, height, width); what was said of them, what is true, and the score of that: (n,) each."""

    images: Tensor
    predictions: Tensor
    targets: Tensor
    scores: Tensor

    def join(self, more: "Judged") -> "Judged":
        """These and then those."""
        return Judged(*(torch.cat(pair) for pair in zip(self, more, strict=True)))

    def worst(self, at_most: int) -> "Judged":
        """Those whose truth has the lowest score, the worst first."""
        order = self.scores.argsort(stable=True)[:at_most]
        return Judged(*(tensor[order] for tensor in self))


class PredictionPictures(Callback):
    """Draw classified images after validation and test: `val/predictions`, `val/mistakes`, `test/predictions` ...

    `predictions` holds the first images of the split, always the same ones; `mistakes` the worst ones: wrong, and the
    true class has the lowest score.
    Above each image stands the predicted class: green where it is right; red, with the true class in brackets,
    where it is wrong. Data without images or without classes get no picture, and tasks without predictions neither.

    Args:
        images: How many at most in each picture.
        columns: Images in a row.
        every_epochs: Validation is drawn in each epoch that this number divides, and in the last of `max_epochs`.
    """

    affects_training = False

    def __init__(self, *, images: int = 40, columns: int = 10, every_epochs: int = 5) -> None:
        self.images, self.columns, self.every_epochs = images, columns, every_epochs
        self._kept: dict[str, Judged] = {}
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []  # images, outputs and targets not yet looked at

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        epoch = trainer.current_epoch + 1
        if not trainer.sanity_checking and (epoch % self.every_epochs == 0 or epoch == trainer.max_epochs):
            self._keep(trainer, pl_module, outputs, batch)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        self._keep(trainer, pl_module, outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw("test", trainer, pl_module)

    def _keep(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch) -> None:
        if outputs is None:  # a task without predictions
            return
        objective = pl_module.objective
        assert isinstance(objective, Objective)
        if objective.spec.kind != "image" or objective.spec.target != "classes" or not trainer.is_global_zero:
            return
        self._waiting.append((batch[0], outputs, batch[1]))
        if len(self._waiting) * batch[0].numel() >= AT_ONCE:
            self._look(objective)

    def _look(self, objective: Objective) -> None:
        images, *judged = zip(*self._waiting, strict=True)
        outputs, targets = map(torch.cat, judged)
        self._waiting.clear()
        predictions = objective.predictions(outputs)

        def scores(which: Tensor) -> Tensor:
            return scores_of_truth(objective.scores(outputs[which]), targets[which])

        def take(which: Tensor) -> Judged:
            """Those that are marked, on the CPU: of the images themselves no more than these are looked at."""
            marked = torch.split(which, [*map(len, images)])
            chosen = torch.cat([some[own] for some, own in zip(images, marked, strict=True)])
            return Judged(*(each.cpu() for each in (chosen, predictions[which], targets[which], scores(which))))

        first, worst = self._kept.get("predictions"), self._kept.get("mistakes")
        lacking = self.images - (len(first.targets) if first else 0)
        if lacking:
            new = take(torch.arange(len(targets), device=targets.device) < lacking)
            self._kept["predictions"] = first.join(new) if first else new
        wrong = predictions != targets
        if worst and len(worst.targets) == self.images:
            wrong = wrong.masked_scatter(wrong, scores(wrong) < worst.scores[-1].to(wrong.device))
        if worst is None or wrong.any():
            new = take(wrong)
            self._kept["mistakes"] = (worst.join(new) if worst else new).worst(self.images)

    def _draw(self, stage: str, trainer: Trainer, pl_module: LightningModule) -> None:
        objective: Any = getattr(pl_module, "objective", None)  # a task may have none
        if self._waiting:
            self._look(objective)
        for name, judged in self._kept.items():
            if len(judged.targets):
                show(partial(grid, judged, objective.spec.class_names, self.columns), f"{stage}/{name}", trainer)
        self._kept = {}


def scores_of_truth(scores: Tensor, targets: Tensor) -> Tensor:
    """How sure a network is of what is true (batch,), by its scores (batch, classes), or (batch,) of the second."""
    if scores.dim() == 1:
        return torch.where(targets == 1, scores, 1 - scores)
    return scores.gather(1, targets[:, None])[:, 0]


def grid(judged: Judged, class_names: tuple[str, ...], columns: int) -> Image.Image:
    """Images under what was said of them, with the truth in brackets where that differs.

    Args:
        judged: What to draw.
        class_names: One name a class.
        columns: Images in a row.
    """
    said, true = ([class_names[place] for place in each.tolist()] for each in (judged.predictions, judged.targets))
    titles = [(one, GREEN) if one == two else (f"{one} ({two})", RED) for one, two in zip(said, true, strict=True)]
    return sheet(judged.images, titles, columns)


def sheet(images: Tensor, titles: Sequence[tuple[str, Colour]], columns: int) -> Image.Image:
    """Images in rows, each under its title.

    Args:
        images: (n, channels, height, width); each is stretched to the full range of brightness by itself.
        titles: Text and colour of each.
        columns: Images in a row.
    """
    rows = -(-len(titles) // columns)
    width, height = TILE + GAP, TILE + TITLE + GAP
    canvas = np.full((rows * height + GAP, columns * width + GAP, 3), 255, np.uint8)
    corners = [(GAP + place % columns * width, GAP + place // columns * height) for place in range(len(titles))]
    for (left, top), pixels in zip(corners, thumbnails(images, (TILE, TILE), "nearest-exact"), strict=True):
        canvas[top + TITLE :, left:][:TILE, :TILE] = pixels
    drawn = Image.fromarray(canvas)
    pen = ImageDraw.Draw(drawn)
    for corner, (title, colour) in zip(corners, titles, strict=True):
        pen.text(corner, title, fill=colour)
    return drawn


def thumbnails(images: Tensor, size: tuple[int, int], how: str) -> NDArray[np.uint8]:
    """Images (n, channels, height, width) as (n, *size, 3), each stretched to the full range of brightness.

    Args:
        images: Of one channel, which is drawn grey, or of three.
        size: Height and width that they get.
        how: By which `mode` of `torch.nn.functional.interpolate`.
    """
    images = images.float()
    low, high = (edge[:, None, None, None] for edge in images.flatten(1).aminmax(dim=1))
    bright = (images - low) / (high - low).clamp(min=1e-9) * 255  # (n, channels, height, width)
    if bright.shape[2:] != size:
        bright = interpolate(bright, size, mode=how, antialias=how == "bilinear")
    return bright[:, :3].byte().permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()
