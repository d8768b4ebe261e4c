"""Mistakes: the examples of the test that a network is furthest off, as a table in TensorBoard."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.formatting import told_input, told_target, vocabulary_of
from trainer.callbacks.plots.tensorboard import boards, number, tabulate
from trainer.callbacks.prediction_images import scores_of_truth
from trainer.core.spec import Batch
from trainer.task.objective import Objective


class WorstMistakes(Callback):
    """Show `test/mistakes` of texts, vectors and sequences: what is wrong, and how wrong, the worst first.

    Of classes those whose truth has the lowest score; of values those that are furthest away. Images have a picture:
    `trainer.callbacks.prediction_images`.

    Args:
        examples: How many at most.
    """

    affects_training = False

    def __init__(self, *, examples: int = 20) -> None:
        self.examples = examples
        self._kept: list[tuple[float, Tensor, Tensor, Tensor]] = []  # how wrong; input, prediction, target

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        objective = getattr(pl_module, "objective", None)  # a task may have none
        if not isinstance(objective, Objective) or objective.spec.kind == "image" or not boards(trainer):
            return
        inputs, targets = batch
        predictions = objective.predictions(outputs)
        if objective.spec.target == "classes":
            wrong = 1 - scores_of_truth(objective.scores(outputs), targets)
            wrong = torch.where(predictions == targets, -1.0, wrong)
        else:
            wrong = (predictions - targets).float().flatten(1).norm(dim=1)
        worst, places = wrong.topk(min(self.examples, len(wrong)))
        rows = zip(
            worst.tolist(), *(each[places].detach().cpu() for each in (inputs, predictions, targets)), strict=True
        )
        self._kept = sorted([*self._kept, *(row for row in rows if row[0] >= 0)], key=lambda row: -row[0])
        self._kept = self._kept[: self.examples]

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        kept, self._kept = self._kept, []
        if not kept:
            return
        objective, vocabulary = pl_module.objective, vocabulary_of(trainer)
        assert isinstance(objective, Objective)
        spec = objective.spec
        measure = "score of the truth" if spec.target == "classes" else "off by"
        rows = [
            (
                told_target(target, spec),
                told_target(prediction, spec),
                number(1 - wrong if spec.target == "classes" else wrong),
                told_input(inputs, spec, vocabulary),
            )
            for wrong, inputs, prediction, target in kept
        ]
        tabulate(("truth", "said", measure, "input"), rows, "test/mistakes", trainer)
