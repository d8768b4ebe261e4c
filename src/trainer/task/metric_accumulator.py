"""Accumulation of the metrics of an objective over batches."""

import torch
from torch import Tensor, nn

from trainer.task.objective import Objective

MAX_BUFFERED_EXAMPLES = 4096  # examples per update of the metrics, which takes as long for a few


class MetricAccumulator(nn.Module):
    """Metrics of an objective over all batches since the last `compute`."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective
        self.metrics = objective.metrics()
        self._batches: list[tuple[Tensor, Tensor]] = []  # outputs and targets that are not in the metrics yet

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add outputs (batch, output_size) and targets (batch,) or (batch, output_size)."""
        self._batches.append((outputs, targets))
        if len(self._batches) * len(targets) >= MAX_BUFFERED_EXAMPLES:
            self._update_metrics()

    def compute(self) -> dict[str, Tensor]:
        """Return each metric over the batches of all processes, and reset."""
        if self._batches:
            self._update_metrics()
        values: dict[str, Tensor] = self.metrics.compute()
        self.metrics.reset()
        return values

    def _update_metrics(self) -> None:
        outputs, targets = map(torch.cat, zip(*self._batches, strict=True))
        self._batches = []
        predictions = self.objective.predictions(outputs)
        if predictions.dtype == torch.float64:  # values far from 0 would lose digits
            self.metrics.set_dtype(torch.float64)
        self.metrics.update(preds=predictions, scores=self.objective.scores(outputs), target=targets)
