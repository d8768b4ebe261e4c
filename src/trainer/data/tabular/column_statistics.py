"""Statistics of a column of text cells, collected block by block."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.io.tables.class_labels import normalize_label
from trainer.data.io.tables.number_format import FORMATS, NumberFormat, cast_numbers, find_number_formats, fits_format

MAX_DISTINCT = 20_000  # distinct texts that are counted; a column with more is no category
MAX_DISTINCT_NUMBERS = 1000
MAX_SPELLINGS = 10  # of a constant number, such as 1 and 1.0
MAX_SAMPLE = 1000  # cells that are kept for the recognition of dates


class ColumnStatistics:
    """Number of missing cells, numbers and texts of a column, and its distinct cells.

    Args:
        missing: Cells that mark a missing value.

    Attributes:
        rows: Number of cells.
        missing_rows: Number of missing cells.
        number_rows: Number of cells with a number.
        formats: Formats in which all numbers can be read.
        counts: Number of cells by text, without missing ones; None if there are too many.
        is_whole: Whether all numbers are whole numbers.
        is_sequence: Whether each number is the previous one plus 1.
        low, high: Smallest and largest number; infinite if they are not known.
        words: Number of words of the cells that are no plain numbers.
        sample: Some distinct cells.
        markers: Some of the cells that mark missing values.
    """

    def __init__(self, missing: Collection[str]) -> None:
        self.missing = frozenset(missing)
        self.rows = 0
        self.missing_rows = 0
        self.number_rows = 0
        self.formats: set[NumberFormat] = {*FORMATS}
        self.counts: Counter[str] | None = Counter()
        self.is_whole = True
        self.is_sequence = True
        self.words = 0
        self.sample: list[str] = []
        self.markers: set[str] = set()
        self.low = np.inf
        self.high = -np.inf
        self._last = np.nan

    def update(self, cells: Any) -> None:
        """Add a block of cells, an array of pyarrow."""
        values = cast_numbers(cells, FORMATS[0], self.missing) if FORMATS[0] in self.formats else None
        if values is None:
            self._add_texts(cells)
        else:
            self._add_numbers(cells, values)
        self.rows += len(cells)

    @property
    def present_rows(self) -> int:
        """Number of cells that are not missing."""
        return self.rows - self.missing_rows

    @property
    def is_constant(self) -> bool:
        """True if all cells have the same value; numbers may be written differently."""
        if self.missing_rows or self.counts is None or len(self.counts) > MAX_SPELLINGS:
            return False
        return len({normalize_label(text) for text in self.counts}) == 1

    @property
    def text_rows(self) -> int:
        """Number of cells that are neither a number nor missing."""
        return self.present_rows - self.number_rows

    def _add_numbers(self, cells: Any, values: NDArray[np.float64]) -> None:
        """Add a block of plain numbers and missing cells."""
        import pyarrow
        from pyarrow import compute

        present = values[~np.isnan(values)]
        self.number_rows += len(present)
        if len(present) < len(values):
            self.missing_rows += len(values) - len(present)
            markers = compute.unique(compute.utf8_trim_whitespace(cells.filter(pyarrow.array(np.isnan(values)))))
            self.markers.update(markers.to_pylist())
        commas = {item for item in self.formats if item.decimal == ","}
        if len(present) and commas:
            texts = compute.utf8_trim_whitespace(cells.filter(pyarrow.array(~np.isnan(values))))
            self.formats -= {item for item in commas if not fits_format(texts, item)}
        self.low = min(self.low, present.min(initial=np.inf))
        self.high = max(self.high, present.max(initial=-np.inf))
        is_whole = not np.any(present % 1)
        self.is_whole = self.is_whole and is_whole
        self._update_sequence(values)
        limit = MAX_DISTINCT_NUMBERS if not is_whole else MAX_DISTINCT
        if self.counts is not None:
            self._count(cells, limit)

    def _update_sequence(self, values: NDArray[np.float64]) -> None:
        if self.is_sequence and len(values):
            start = values[:1] - 1 if np.isnan(self._last) else np.array([self._last])
            with np.errstate(over="ignore"):
                self.is_sequence = bool((np.diff(np.concatenate([start, values])) == 1).all())
            self._last = values[-1]

    def _count(self, cells: Any, limit: int) -> None:
        from pyarrow import compute

        counted = compute.value_counts(compute.utf8_trim_whitespace(cells))
        texts, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
        self._add_counts(zip(texts, counts, strict=True), limit)

    def _add_counts(self, pairs: Any, limit: int) -> None:
        if self.counts is None:
            return
        for text, count in pairs:
            if text not in self.missing:
                self.counts[text] += count
        self.sample = [*self.counts][:MAX_SAMPLE]
        if len(self.counts) > limit:
            self.counts = None

    def _add_texts(self, cells: Any) -> None:
        """Add a block in which some cells are no plain numbers."""
        from pyarrow import compute

        encoded = compute.dictionary_encode(compute.utf8_trim_whitespace(cells))
        texts = encoded.dictionary.to_pylist()
        counts = np.bincount(encoded.indices.to_numpy(zero_copy_only=False), minlength=len(texts)).tolist()
        is_text = self.text_rows > self.number_rows + MAX_SAMPLE  # no longer a column of numbers
        for text, count in zip(texts, counts, strict=True):
            if text in self.missing:
                self.missing_rows += count
                self.markers.add(text)
                continue
            formats = set() if is_text else find_number_formats(text)
            if formats & self.formats:
                self.formats &= formats
                self.number_rows += count
            self.words += count * len(text.split())
        self.is_whole = self.is_sequence = False
        self.low, self.high = -np.inf, np.inf  # not known
        self._add_counts(zip(texts, counts, strict=True), MAX_DISTINCT)
