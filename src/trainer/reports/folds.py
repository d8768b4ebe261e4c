"""Folds of a cross-validation that runs are part of."""

from dataclasses import dataclass
from statistics import fmean

from trainer.artifacts.run_record import RunRecord

FOLD_KEY = "data.fold"  # of a run with `FOLDS_KEY`
FOLDS_KEY = "data.folds"


@dataclass(frozen=True, order=True)
class Folds:
    """Folds of a cross-validation.

    Args:
        count: Number of folds.
        is_ordered: Whether a fold is trained only on the examples before its test (forward chaining). Defaults to
            False: on all others.
    """

    count: int
    is_ordered: bool = False

    @property
    def note(self) -> str:
        """Remark on results of these folds."""
        if self.is_ordered:
            folds = f"{self.count} folds in the order of time, which do not test the first examples"
        else:
            folds = f"{self.count} folds"
        return f"means over {folds}; folds share training examples, for which intervals and verdicts are corrected"

    @property
    def test_ratio(self) -> float:
        """Mean ratio of the test examples of a fold to the examples that it is trained with, validation included."""
        sizes = range(1, self.count + 1) if self.is_ordered else [self.count - 1]  # in units of a fold
        return fmean(1 / size for size in sizes)


def read_folds(record: RunRecord) -> Folds | None:
    """Return the cross-validation that a run is part of, or None if it is not."""
    count = record.config.get(FOLDS_KEY)
    if type(count) is not int or count < 2 or type(record.config.get(FOLD_KEY)) is not int:
        return None
    return Folds(count, is_ordered="pooled_examples" in record.result)
