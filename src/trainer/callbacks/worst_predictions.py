"""Table of the worst predictions of the test, in TensorBoard."""

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.formatting import format_input, format_target, get_vocabulary
from trainer.callbacks.plots.media import can_log_media, log_table
from trainer.core.callback import Callback
from trainer.core.formatting import format_number
from trainer.core.spec import Batch
from trainer.inference.attribution.predicted_output import select_scores
from trainer.task.objective import Objective
from trainer.task.objective_lookup import find_objective


class WorstPredictions(Callback):
    """Log `test/worst_predictions` of texts, vectors and sequences, sorted by error.

    For classes these are the wrong predictions with the lowest score of the target; for values those with the largest
    distance. Images are drawn by `trainer.callbacks.prediction_images`.

    Args:
        examples: Largest number of rows.
    """

    affects_training = False

    def __init__(self, *, examples: int = 20) -> None:
        self.examples = examples
        self._collected: list[tuple[float, Tensor, Tensor, Tensor]] = []  # error, input, prediction, target

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        objective = find_objective(pl_module, outputs, batch)
        if objective is None or objective.spec.kind == "image" or not can_log_media(trainer):
            return
        inputs, targets = batch
        predictions = objective.predictions(outputs)
        if objective.spec.target == "classification":
            errors = 1 - select_scores(outputs, targets, objective)
            errors = torch.where(predictions == targets, -1.0, errors)
        else:
            errors = (predictions - targets).float().flatten(1).norm(dim=1)
        worst, indices = errors.topk(min(self.examples, len(errors)))
        columns = (tensor[indices].detach().cpu() for tensor in (inputs, predictions, targets))
        rows = [row for row in zip(worst.tolist(), *columns, strict=True) if row[0] >= 0]
        self._collected = sorted([*self._collected, *rows], key=lambda row: -row[0])[: self.examples]

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        examples, self._collected = self._collected, []
        if not examples:
            return
        objective = pl_module.objective
        vocabulary = get_vocabulary(trainer)
        assert isinstance(objective, Objective)
        spec = objective.spec
        is_class = spec.target == "classification"
        rows = [
            (
                format_target(target, spec),
                format_target(prediction, spec),
                format_number(1 - error if is_class else error),
                format_input(inputs, spec, vocabulary),
            )
            for error, inputs, prediction, target in examples
        ]
        header = ("target", "prediction", "score of the target" if is_class else "error", "input")
        log_table(header, rows, "test/worst_predictions", trainer)
