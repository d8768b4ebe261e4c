"""Judge: the metrics of an objective over many examples, however they come."""

import torch
from torch import Tensor, nn

from trainer.task.objective import Objective

AT_ONCE = 4096  # examples that metrics are told of together: they take as long for a few


class Judge(nn.Module):
    """Notes outputs and targets, batch by batch, and tells what the metrics of all of them are.

    Args:
        objective: Says which metrics, and what outputs mean.
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective, self.metrics = objective, objective.metrics()
        self._noted: list[tuple[Tensor, Tensor]] = []  # outputs and targets that the metrics do not know of yet

    def note(self, outputs: Tensor, targets: Tensor) -> None:
        """Shapes: outputs (batch, output_size); targets (batch,) or (batch, output_size)."""
        self._noted.append((outputs, targets))
        if len(self._noted) * len(targets) >= AT_ONCE:
            self._tell()

    def verdict(self) -> dict[str, Tensor]:
        """Each metric over all that was noted, in all processes; then all begins anew."""
        if self._noted:
            self._tell()
        found: dict[str, Tensor] = self.metrics.compute()
        self.metrics.reset()
        return found

    def _tell(self) -> None:
        outputs, targets = map(torch.cat, zip(*self._noted, strict=True))
        self._noted = []
        predictions, scores = self.objective.predictions(outputs), self.objective.scores(outputs)
        if predictions.dtype == torch.float64:  # values far from 0 would lose their digits
            self.metrics.set_dtype(torch.float64)
        self.metrics.update(preds=predictions, scores=scores, target=targets)
