"""Texts and labels as in users' files, and the check for missing ones."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainer.core.errors import UserError
from trainer.data.io.tables.header_detection import is_missing
from trainer.data.io.texts.labeled_texts import LabeledTexts
from trainer.data.io.texts.tokenization import is_empty
from trainer.data.loading.split import Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RawTexts:
    """Texts and labels of a split as in the files, with empty ones.

    Args:
        texts: The texts.
        labels: Their labels.
        locate: Returns the position of a text, and whether that of its label (True), for messages.
        encode: Returns the class indices of some rows from the class names.
    """

    texts: list[str]
    labels: list[str]
    locate: Callable[[int, bool], str]
    encode: Callable[[Sequence[int], Sequence[str]], list[int]]

    def clean(self, class_names: Sequence[str], skip_missing: bool) -> LabeledTexts:
        """Return the texts and their classes.

        Args:
            class_names: The classes; other labels are an error.
            skip_missing: Whether rows without a text or a label are left out.

        Raises:
            UserError: If a text or a label is missing, or a label is unknown.
        """
        missing = {
            row: _is_missing_label(label, class_names)
            for row, (text, label) in enumerate(zip(self.texts, self.labels, strict=True))
            if is_empty(text) or is_missing(text) or _is_missing_label(label, class_names)
        }
        if missing:
            row, is_label = next(iter(missing.items()))
            message = self._explain_missing(row, is_label, len(missing))
            if not skip_missing:
                raise UserError(message)
            log.warning("left out %d rows without text or label; the first: %s", len(missing), message.split("\n")[0])
        rows = [row for row in range(len(self.texts)) if row not in missing]
        return LabeledTexts([self.texts[row] for row in rows], self.encode(rows, class_names))

    def _explain_missing(self, row: int, is_label: bool, count: int) -> str:
        """Return the message for the first of `count` rows without a text or a label."""
        cell = self.labels[row] if is_label else self.texts[row]
        marker = f" ({cell!r})" if cell and is_missing(cell) else ""
        kind = "the label is missing" if is_label else "the text is missing" if marker else "the text is empty"
        others = f"; the same in {count - 1} more" if count > 1 else ""
        return (
            f"{self.locate(row, is_label)}: {kind}{marker}{others}\n  fix or remove it, or leave out such rows: "
            "data.skip_missing=true"
        )


def _is_missing_label(label: str, class_names: Sequence[str]) -> bool:
    return is_missing(label) and label not in class_names


class TextSource(ABC):
    """Files with texts and labels."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Return the classes in the files."""

    @property
    @abstractmethod
    def columns(self) -> dict[str, str | int]:
        """Return the text column and the label column by their key of `data`; empty for directories."""

    @property
    def has_header(self) -> bool:
        """Return whether the columns have names in the files."""
        return True

    @abstractmethod
    def read(self) -> dict[Stage, RawTexts]:
        """Read the files of each split; files without splits are those of the training."""
