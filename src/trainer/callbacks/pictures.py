"""Pictures: images with what the network says of them, right in green and wrong in red, in TensorBoard."""

from functools import partial
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageDraw
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.board import show
from trainer.objective import Objective
from trainer.spec import Batch

GREEN, RED, WHITE = (0, 130, 0), (200, 0, 0), (255, 255, 255)
TILE, TITLE, GAP = 64, 14, 4  # pixels: side of an image, height of its title, space around


class Judged(NamedTuple):
    """Images (n, channels, height, width), and what was said of them and what is true: (n,) each."""

    images: Tensor
    predictions: Tensor
    targets: Tensor

    def take(self, which: Tensor | slice) -> "Judged":
        """The chosen ones, on the CPU."""
        return Judged(*(tensor[which].cpu() for tensor in self))

    def join(self, more: "Judged", at_most: int) -> "Judged":
        """These and then those, up to `at_most`."""
        return Judged(*(torch.cat(pair)[:at_most] for pair in zip(self, more, strict=True)))


class PredictionPictures(Callback):
    """Draw classified images after validation and test: `val/predictions`, `val/mistakes`, `test/predictions` ...

    `predictions` holds the first images of the split, always the same ones; `mistakes` the first wrong ones.
    Above each image stands the predicted class: green where it is right; red, with the true class in brackets,
    where it is wrong. Data without images or without classes get no picture, and tasks without predictions neither.

    Args:
        images: How many at most in each picture.
        columns: Images in a row.
        every_epochs: Validation is drawn in each epoch that this number divides, and in the last of `max_epochs`.
    """

    def __init__(self, *, images: int = 40, columns: int = 10, every_epochs: int = 5) -> None:
        self.images, self.columns, self.every_epochs = images, columns, every_epochs
        self._kept: dict[str, Judged] = {}

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
        judged = Judged(batch[0], objective.predictions(outputs), batch[1])
        chosen: dict[str, Tensor | slice] = {
            "predictions": slice(self.images),
            "mistakes": (judged.predictions != judged.targets).nonzero()[:, 0],
        }
        for name, which in chosen.items():
            new = judged.take(which)
            self._kept[name] = self._kept[name].join(new, self.images) if name in self._kept else new

    def _draw(self, stage: str, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, judged in self._kept.items():
            if len(judged.targets):
                objective = pl_module.objective
                assert isinstance(objective, Objective)
                first = judged.take(slice(self.images))
                show(partial(grid, first, objective.spec.class_names, self.columns), f"{stage}/{name}", trainer)
        self._kept = {}


def grid(judged: Judged, class_names: tuple[str, ...], columns: int) -> Image.Image:
    """Images in rows, each under its title.

    Args:
        judged: What to draw; each image is stretched to the full range of brightness by itself.
        class_names: One name a class.
        columns: Images in a row.
    """
    rows = -(-len(judged.targets) // columns)
    width, height = TILE + GAP, TILE + TITLE + GAP
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), WHITE)
    pen = ImageDraw.Draw(sheet)
    for place, (image, predicted, true) in enumerate(zip(*judged, strict=True)):
        left, top = GAP + place % columns * width, GAP + place // columns * height
        low, high = image.aminmax()
        pixels = ((image - low) / (high - low).clamp(min=1e-9) * 255).byte().permute(1, 2, 0).numpy()  # (h, w, c)
        tile = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("RGB")
        sheet.paste(tile.resize((TILE, TILE), Image.Resampling.NEAREST), (left, top + TITLE))
        right = predicted == true
        title = class_names[predicted] if right else f"{class_names[predicted]} ({class_names[true]})"
        pen.text((left, top), title, fill=GREEN if right else RED)
    return sheet
