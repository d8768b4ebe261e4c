"""Search for image files that cannot be read."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.loading.prefetch import prefetch_batches

FILES_PER_BATCH = 200
PREFETCHED_BATCHES = 2
MAX_LISTED_FILES = 20
MAX_SEARCH_SECONDS = 60.0  # for the other files after an error


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Args:
        errors: Error of each file that cannot be read, by file index.
        checked: Number of checked files.
        total: Number of files.
    """

    errors: dict[int, str]
    checked: int
    total: int

    def describe(self, consequence: str = "") -> str:
        """Return at most `MAX_LISTED_FILES` errors below their number and its consequence."""
        errors = [*self.errors.values()]
        title = f"{len(errors):,} of {self.checked:,} image files cannot be read{consequence}:"
        lines = [title, *errors[:MAX_LISTED_FILES]]
        if len(errors) > MAX_LISTED_FILES:
            lines.append(f"and {len(errors) - MAX_LISTED_FILES:,} more")
        if self.checked < self.total:
            lines.append(f"{self.total - self.checked:,} files were not checked")
        return "\n  ".join(lines)


def find_unreadable(
    files: Sequence[str], check: Callable[[str], object], *, workers: int, seconds: float = float("inf")
) -> SearchResult:
    """Read files and return the errors of those that cannot be read.

    Args:
        files: Image files.
        check: Raises a `UserError` for a file that cannot be read.
        workers: Number of processes.
        seconds: Time after which the search stops.
    """
    batches = [files[start : start + FILES_PER_BATCH] for start in range(0, len(files), FILES_PER_BATCH)]
    deadline = time.monotonic() + seconds
    errors: dict[int, str] = {}
    checked = 0
    results = prefetch_batches(
        partial(_check_batch, check), batches, workers=workers, prefetch=PREFETCHED_BATCHES, pinned=False
    )
    for is_readable, batch in zip(results, batches, strict=True):
        for row in (~is_readable).nonzero().flatten().tolist():
            errors[checked + row] = _error_message(check, batch[row])
        checked += len(batch)
        if time.monotonic() > deadline:
            break
    return SearchResult(errors, checked, len(files))


def _check_batch(check: Callable[[str], object], files: Sequence[str]) -> Tensor:
    return torch.tensor([not _error_message(check, file) for file in files])


def _error_message(check: Callable[[str], object], file: str) -> str:
    """Return the error of a file, or "" if it can be read."""
    try:
        check(file)
    except UserError as error:
        return str(error)
    return ""
