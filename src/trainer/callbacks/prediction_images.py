"""Images with their predictions, correct ones in green and wrong ones in red, in TensorBoard."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import interpolate

from trainer.callbacks.plots.line_chart import Color
from trainer.callbacks.plots.media import log_image
from trainer.core.callback import Callback
from trainer.core.spec import Batch
from trainer.task.objective import Objective
from trainer.task.objective_lookup import find_objective

GREEN = (0, 130, 0)
RED = (200, 0, 0)
TILE_PIXELS = 64  # side of an image
TITLE_PIXELS = 14  # height of a title
GAP_PIXELS = 4
MAX_BUFFERED_VALUES = 2**21  # image values that are processed together: a few batches take as long as one


class PredictedImages(NamedTuple):
    """Images (n, channels, height, width), predicted classes, targets and scores of the targets, (n,) each."""

    images: Tensor
    predictions: Tensor
    targets: Tensor
    scores: Tensor

    def concatenate(self, other: "PredictedImages") -> "PredictedImages":
        """Return these images followed by the others."""
        return PredictedImages(*(torch.cat(pair) for pair in zip(self, other, strict=True)))

    def select_worst(self, count: int) -> "PredictedImages":
        """Return at most `count` images with the lowest scores, the worst first."""
        order = self.scores.argsort(stable=True)[:count]
        return PredictedImages(*(tensor[order] for tensor in self))


class PredictionImages(Callback):
    """Draw classified images after validation and test, as `val/predictions`, `val/worst_predictions`, `test/...`.

    `predictions` contains the first images of the split, always the same ones; `worst_predictions` the wrong ones
    whose true class has the lowest scores. The title of an image is the predicted class: green if it is correct; else
    red, followed by the true class in brackets. Does nothing for data without images or classes and for tasks without
    predictions.

    Args:
        images: Largest number of images in each drawing.
        columns: Number of images in a row.
        every_n_epochs: Number of epochs between two drawings of the validation; the last of `max_epochs` is always
            drawn.
    """

    affects_training = False

    def __init__(self, *, images: int = 40, columns: int = 10, every_n_epochs: int = 5) -> None:
        self.images = images
        self.columns = columns
        self.every_n_epochs = every_n_epochs
        self._collected: dict[str, PredictedImages] = {}
        self._buffer: list[tuple[Tensor, Tensor, Tensor]] = []  # images, outputs and targets, not yet processed

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        epoch = trainer.current_epoch + 1
        if not trainer.sanity_checking and (epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs):
            self._collect(trainer, pl_module, outputs, batch)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        self._collect(trainer, pl_module, outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw("test", trainer, pl_module)

    def _collect(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch) -> None:
        objective = find_objective(pl_module, outputs, batch)
        if objective is None or not trainer.is_global_zero:
            return
        if objective.spec.kind != "image" or objective.spec.target != "classification":
            return
        self._buffer.append((batch[0], outputs, batch[1]))
        if len(self._buffer) * batch[0].numel() >= MAX_BUFFERED_VALUES:
            self._process_buffer(objective)

    def _process_buffer(self, objective: Objective) -> None:
        images, *columns = zip(*self._buffer, strict=True)
        outputs, targets = map(torch.cat, columns)
        self._buffer.clear()
        predictions = objective.predictions(outputs)

        def scores(mask: Tensor) -> Tensor:
            return get_target_scores(objective.scores(outputs[mask]), targets[mask])

        def select(mask: Tensor) -> PredictedImages:
            """Return the selected images on the CPU; the other images are not copied."""
            masks = torch.split(mask, [*map(len, images)])
            selected = torch.cat([batch[rows] for batch, rows in zip(images, masks, strict=True)])
            tensors = (selected, predictions[mask], targets[mask], scores(mask))
            return PredictedImages(*(tensor.cpu() for tensor in tensors))

        first = self._collected.get("predictions")
        missing = self.images - (len(first.targets) if first else 0)
        if missing:
            new = select(torch.arange(len(targets), device=targets.device) < missing)
            self._collected["predictions"] = first.concatenate(new) if first else new
        worst = self._collected.get("worst_predictions")
        wrong = predictions != targets
        if worst and len(worst.targets) == self.images:
            wrong = wrong.masked_scatter(wrong, scores(wrong) < worst.scores[-1].to(wrong.device))
        if worst is None or wrong.any():
            new = select(wrong)
            self._collected["worst_predictions"] = (worst.concatenate(new) if worst else new).select_worst(self.images)

    def _draw(self, stage: str, trainer: Trainer, pl_module: LightningModule) -> None:
        objective: Any = getattr(pl_module, "objective", None)  # a task may have none
        if self._buffer:
            self._process_buffer(objective)
        for name, examples in self._collected.items():
            if len(examples.targets):
                draw = partial(draw_predictions, examples, objective.spec.class_names, self.columns)
                log_image(draw, f"{stage}/{name}", trainer)
        self._collected = {}


def get_target_scores(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the score of each target (batch,), from scores (batch, classes), or (batch,) of the second of two."""
    if scores.dim() == 1:
        return torch.where(targets == 1, scores, 1 - scores)
    return scores.gather(1, targets[:, None])[:, 0]


def draw_predictions(examples: PredictedImages, class_names: tuple[str, ...], columns: int) -> Image.Image:
    """Return a grid of images below their predictions, each followed by the target in brackets if it differs."""
    pairs = zip(examples.predictions.tolist(), examples.targets.tolist(), strict=True)
    names = [(class_names[prediction], class_names[target]) for prediction, target in pairs]
    titles = [(name, GREEN) if name == true else (f"{name} ({true})", RED) for name, true in names]
    return make_image_grid(examples.images, titles, columns)


def make_image_grid(images: Tensor, titles: Sequence[tuple[str, Color]], columns: int) -> Image.Image:
    """Return a grid of images below their titles.

    Args:
        images: (n, channels, height, width); each is scaled to the full range of brightness.
        titles: Text and color of each title.
        columns: Number of images in a row.
    """
    rows = -(-len(titles) // columns)
    width = TILE_PIXELS + GAP_PIXELS
    height = TILE_PIXELS + TITLE_PIXELS + GAP_PIXELS
    canvas = np.full((rows * height + GAP_PIXELS, columns * width + GAP_PIXELS, 3), 255, np.uint8)
    corners = [(GAP_PIXELS + i % columns * width, GAP_PIXELS + i // columns * height) for i in range(len(titles))]
    tiles = make_thumbnails(images, (TILE_PIXELS, TILE_PIXELS), "nearest-exact")
    for (x, y), tile in zip(corners, tiles, strict=True):
        canvas[y + TITLE_PIXELS :, x:][:TILE_PIXELS, :TILE_PIXELS] = tile
    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image)
    for corner, (title, color) in zip(corners, titles, strict=True):
        pen.text(corner, title, fill=color)
    return image


def make_thumbnails(images: Tensor, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """Resize images (n, channels, height, width) to (n, *size, 3), and scale each to the full range of brightness.

    Args:
        images: Images of one channel, which is drawn gray, or of three or more.
        size: New height and width.
        mode: Argument of `torch.nn.functional.interpolate`.
    """
    images = images.float()
    low, high = (edge[:, None, None, None] for edge in images.flatten(1).aminmax(dim=1))
    scaled = (images - low) / (high - low).clamp(min=1e-9) * 255  # (n, channels, height, width)
    if scaled.shape[2:] != size:
        scaled = interpolate(scaled, size, mode=mode, antialias=mode == "bilinear")
    return scaled[:, :3].byte().permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()
