"""Texts with classes, without duplicates."""

import io
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from trainer.core.errors import UserError
from trainer.data.io.text_encoding import UTF8, detect_encoding
from trainer.data.io.texts.tokenization import is_empty, normalize_text

log = logging.getLogger(__name__)


class LabeledTexts(NamedTuple):
    """Texts and their class indices."""

    texts: list[str]
    classes: list[int]

    def select(self, rows: Iterable[int]) -> "LabeledTexts":
        """Return the texts at the indices `rows`, in that order."""
        rows = list(rows)
        return LabeledTexts([self.texts[row] for row in rows], [self.classes[row] for row in rows])


def drop_duplicates(
    texts: LabeledTexts, elsewhere: Sequence[str] = (), name: str = "texts", other: str = "the test"
) -> LabeledTexts:
    """Return the first example of each text, without texts that are in `elsewhere`; log the number of dropped ones.

    Args:
        texts: The examples.
        elsewhere: Texts of other splits.
        name: Name of the examples in the log.
        other: Name of the other splits in the log.
    """
    excluded = {normalize_text(text) for text in elsewhere}
    keys = [normalize_text(text) for text in texts.texts]
    first_rows: dict[str, int] = {}
    for row, key in enumerate(keys):
        first_rows.setdefault(key, row)
    conflicts = [row for row, key in enumerate(keys) if texts.classes[row] != texts.classes[first_rows[key]]]
    if conflicts:
        example = " ".join(texts.texts[conflicts[0]].split())[:60]
        log.warning(
            "%d %s repeat another text with another label, e.g. '%s'; the first label is used",
            *(len(conflicts), name, example),
        )
    unique = [row for key, row in first_rows.items() if key not in excluded]
    repeats = len(texts.texts) - len(first_rows)
    leaks = len(first_rows) - len(unique)
    if repeats or leaks:
        suffix = f" and {leaks} that are also in {other}" if elsewhere else ""
        log.info("dropped of %d %s: %d that repeat another%s", len(texts.texts), name, repeats, suffix)
    return texts.select(unique)


def decode_file(file: Path, encoding: str | None) -> str:
    """Return the text of a file.

    Args:
        file: The file.
        encoding: Encoding of the text. None detects it.

    Raises:
        UserError: If the file cannot be read, or is not in this encoding.
    """
    try:
        content = file.read_bytes()
        name = detect_encoding(io.BytesIO(content)) if encoding is None else encoding
        return content.decode("utf-8-sig" if name == UTF8 else name)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: not {error.encoding.upper()} text ({error}); save it in UTF-8, or remove it"
        ) from error
    except UnicodeError as error:
        raise UserError(f"{file}: {error}; save it in UTF-8, or remove it") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error}") from error


def read_text(file: Path, encoding: str | None = UTF8) -> str:
    """Return the text of a file; see `decode_file`.

    Raises:
        UserError: If the file is empty, or cannot be read.
    """
    text = decode_file(file, encoding)
    if is_empty(text):
        raise UserError(f"{file}: an empty text; remove it")
    return text
