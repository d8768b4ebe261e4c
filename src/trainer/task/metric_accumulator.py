"""Accumulation of the metrics of an objective over batches."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.task.objective import Objective
from trainer.task.threshold import BestThreshold

MAX_BUFFERED_EXAMPLES = 4096  # examples per update of the metrics, which takes as long for a few


class MetricAccumulator(nn.Module):
    """Metrics of an objective over all batches since the last `compute`.

    Args:
        objective: Objective.
        chooses_threshold: Whether `compute` first chooses the decision threshold, if the objective has a criterion.
    """

    def __init__(self, objective: Objective, *, chooses_threshold: bool = False) -> None:
        super().__init__()
        self.objective = objective
        self.metrics = objective.metrics()
        criterion = objective.threshold.criterion if chooses_threshold else None
        self.best_threshold = BestThreshold(criterion) if criterion else None
        self._batches: list[tuple[Tensor, Tensor]] = []  # outputs and targets that are not in the metrics yet

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add outputs (batch, output_size) of at least 32 bits, and targets (batch,) or (batch, output_size)."""
        self._batches.append((outputs, targets))
        if not self.best_threshold and len(self._batches) * len(targets) >= MAX_BUFFERED_EXAMPLES:
            self._update_metrics()

    def compute(self) -> dict[str, Tensor]:
        """Return each metric over the batches of all processes, and reset."""
        if self.best_threshold:
            for outputs, targets in self._batches:
                self.best_threshold.update(self.objective.scores(outputs), targets)
            self.objective.threshold.choose(self.best_threshold.compute().item())
            self.best_threshold.reset()
        if self._batches:
            self._update_metrics()
        values: dict[str, Tensor] = self.metrics.compute()
        self.metrics.reset()
        return values

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "MetricAccumulator":
        """Move the metrics to a device; keep their numbers of bits, also if a task is converted to 16."""
        super()._apply(lambda tensor: fn(tensor).to(tensor.dtype), recurse)  # type: ignore[no-untyped-call]
        return self

    def _update_metrics(self) -> None:
        outputs, targets = map(torch.cat, zip(*self._batches, strict=True))
        self._batches = []
        predictions = self.objective.predictions(outputs)
        if predictions.dtype == torch.float64:  # values far from 0 would lose digits
            self.metrics.set_dtype(torch.float64)
        self.metrics.update(preds=predictions, scores=self.objective.scores(outputs), target=targets)
