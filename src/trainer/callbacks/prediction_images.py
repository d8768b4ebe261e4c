"""Images with their predictions, correct ones in green and wrong ones in red, in TensorBoard."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.image_grid import make_image_grid
from trainer.callbacks.plots.media import log_image
from trainer.callbacks.plots.style import GREEN, RED
from trainer.core.callback import Callback
from trainer.core.spec import Batch
from trainer.inference.attribution.predicted_output import select_scores
from trainer.task.objective import Objective
from trainer.task.objective_lookup import find_objective

MAX_BUFFERED_VALUES = 2**21  # image values that are processed together: a few batches take as long as one


class PredictedImages(NamedTuple):
    """Images (n, channels, height, width), predicted classes and targets, and the scores of both, (n,) each."""

    images: Tensor
    predictions: Tensor
    targets: Tensor
    predicted_scores: Tensor
    scores: Tensor

    def concatenate(self, other: "PredictedImages") -> "PredictedImages":
        """Return these images followed by the others."""
        return PredictedImages(*(torch.cat(pair) for pair in zip(self, other, strict=True)))

    def select(self, rows: Tensor) -> "PredictedImages":
        """Return some of the images."""
        return PredictedImages(*(tensor[rows] for tensor in self))

    def select_worst(self, count: int) -> "PredictedImages":
        """Return at most `count` images of low scores, as many of each class as possible, sorted by class and score."""
        worst = self.select(find_worst(self.scores, self.targets, count))
        order = worst.scores.argsort(stable=True)
        return worst.select(order[worst.targets[order].argsort(stable=True)])


class PredictionImages(Callback):
    """Draw classified images after validation and test, as `val/predictions`, `val/worst_predictions`, `test/...`.

    `predictions` contains the first images of the split, always the same ones; `worst_predictions` the wrong ones of
    each true class with its lowest scores, in a row for each class. The title of an image is the predicted class with
    its score: green if it is correct; else red, above the true class. Does nothing for data without images or classes
    and for tasks without predictions.

    Args:
        images: Largest number of images in each drawing.
        columns: Number of images in a row.
        every_n_epochs: Number of epochs between two drawings of the validation; the last of `max_epochs` is always
            drawn.
    """

    affects_training = False

    def __init__(self, *, images: int = 40, columns: int = 8, every_n_epochs: int = 5) -> None:
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

        def select(mask: Tensor) -> PredictedImages:
            """Return the selected images on the CPU; the other images are not copied."""
            masks = torch.split(mask, [*map(len, images)])
            selected = torch.cat([batch[rows] for batch, rows in zip(images, masks, strict=True)])
            classes = (predictions[mask], targets[mask])
            scores = (select_scores(outputs[mask], indices, objective) for indices in classes)
            return PredictedImages(*(tensor.cpu() for tensor in (selected, *classes, *scores)))

        first = self._collected.get("predictions")
        missing = self.images - (len(first.targets) if first else 0)
        if missing:
            new = select(torch.arange(len(targets), device=targets.device) < missing)
            self._collected["predictions"] = first.concatenate(new) if first else new
        wrong = (predictions != targets).nonzero()[:, 0]
        rows = find_worst(select_scores(outputs[wrong], targets[wrong], objective), targets[wrong], self.images)
        new = select(torch.zeros_like(targets, dtype=torch.bool).index_fill(0, wrong[rows], value=True))
        worst = self._collected.get("worst_predictions")
        self._collected["worst_predictions"] = (worst.concatenate(new) if worst else new).select_worst(self.images)

    def _draw(self, stage: str, trainer: Trainer, pl_module: LightningModule) -> None:
        objective: Any = getattr(pl_module, "objective", None)  # a task may have none
        if self._buffer:
            self._process_buffer(objective)
        for name, examples in self._collected.items():
            if len(examples.targets):
                groups = examples.targets.tolist() if name == "worst_predictions" else None
                draw = partial(draw_predictions, examples, objective.spec.class_names, self.columns, groups)
                log_image(draw, f"{stage}/{name}", trainer)
        self._collected = {}


def find_worst(scores: Tensor, targets: Tensor, count: int) -> Tensor:
    """Return at most `count` indices of low scores: the lowest score of each class, then the second of each, ...

    Args:
        scores: Scores (examples,).
        targets: Classes (examples,).
        count: Largest number of indices.
    """
    by_score = scores.argsort(stable=True)
    order = by_score[targets[by_score].argsort(stable=True)]  # by class, then by score
    sizes = targets.bincount()
    starts = sizes.cumsum(0) - sizes
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device) - starts[targets[order]]
    return by_score[ranks[by_score].argsort(stable=True)][:count]


def draw_predictions(
    examples: PredictedImages, class_names: Sequence[str], columns: int, groups: Sequence[int] | None = None
) -> Image.Image:
    """Return a grid of images below their predictions with scores; wrong ones are followed by the target.

    Args:
        examples: At least one image.
        class_names: Class names.
        columns: Number of images in a row.
        groups: Group of each image; each group starts a new row. None is one group.
    """
    titles = []
    for prediction, target, score in zip(
        *(column.tolist() for column in (examples.predictions, examples.targets, examples.predicted_scores)),
        strict=True,
    ):
        title = f"{class_names[prediction]} {score:.0%}"
        titles.append((title, GREEN) if prediction == target else (f"{title}\ntrue {class_names[target]}", RED))
    return make_image_grid(examples.images, titles, columns, groups)
