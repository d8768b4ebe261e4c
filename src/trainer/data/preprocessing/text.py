"""Conversion of texts to tokens of the training vocabulary."""

import gzip
import logging
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import PADDING_INDEX
from trainer.data.io.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.review_files import read_text
from trainer.data.io.table_file import TABLE_SUFFIXES, iter_tables
from trainer.data.io.tokenization import TOKENIZER_RULES, Keep, build_tokenizer, encode, is_empty
from trainer.data.preprocessing.base import Examples, Preprocessing, batched, iter_files

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

TextLine = tuple[str, int | None, str]  # file, line from 1 or None, text


@dataclass(frozen=True)
class TextPreprocessing(Preprocessing):
    """Stored inputs are rows of tokens (texts, max_length), padded at the end.

    Args:
        vocabulary: Words by token index, joined by line breaks (one string is faster to save and copy than many).
        max_length: Maximum number of words per text.
        keep: Whether the `"start"` or the `"end"` of a longer text is used.
        text_column: Name or index of the text column of CSV files.
        header: Whether the first line of CSV files contains the column names.
        delimiter: Delimiter of CSV files.
        rules: Tokenizer rules of the training; other rules at prediction cause a warning.
    """

    vocabulary: str
    max_length: int
    keep: Keep
    text_column: str | int = 0
    header: bool = True
    delimiter: str = ","
    rules: str = TOKENIZER_RULES

    def prepare(self, inputs: Tensor) -> Tensor:
        """Cut tokens to the longest text of the batch: (batch, max_length) -> (batch, time)."""
        longest = int((inputs != PADDING_INDEX).any(0).sum())
        return inputs[:, :longest].long()

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield one text per non-empty line of a text file, per file of a directory, or per row of a CSV file."""
        if self.rules != TOKENIZER_RULES:
            log.warning("training used other tokenizer rules: %s; now: %s", self.rules, TOKENIZER_RULES)
        for batch in batched(self._read_texts(files, batch_size), batch_size):
            sources, rows, texts = zip(*batch, strict=True)
            yield Examples([*sources], [*rows], self.encode_texts(texts))

    def encode_texts(self, texts: Iterable[str]) -> Tensor:
        """Encode texts as padded rows of tokens (texts, max_length)."""
        return encode([*texts], self._tokenizer).pad(self.max_length, self.keep)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        return build_tokenizer(self.vocabulary.split("\n"))

    def _read_texts(self, paths: Iterable[Path], batch_size: int) -> Iterator[TextLine]:
        for path in paths:
            if path.is_dir():
                for file in iter_files([path], (".txt",)):
                    yield str(file), None, read_text(file)
                continue
            [file] = iter_files([path], ())
            is_table = file.name.lower().endswith(TABLE_SUFFIXES)
            yield from self._read_rows(file, batch_size) if is_table else read_lines(file)

    def _read_rows(self, file: Path, batch_size: int) -> Iterator[TextLine]:
        dialect = detect_dialect(file, DialectSettings(delimiter=self.delimiter, header=self.header))
        for chunk in iter_tables(file, dialect, rows=batch_size):
            column = chunk.index("text column", self.text_column)
            for row, text in enumerate(chunk.cells(column)):
                if is_empty(text):
                    raise UserError(f"{chunk.locate(row, column)}: the text is empty; remove the row from the file")
                yield str(file), chunk.find_line(row), text


def read_lines(file: Path) -> Iterator[TextLine]:
    """Yield the non-empty lines of a UTF-8 text file (gzip if its name ends in .gz).

    Raises:
        UserError: If the file cannot be read or is not in UTF-8.
    """
    number = 0
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if not is_empty(text):
                    yield str(file), number, text
    except UnicodeDecodeError as error:
        raise UserError(f"{file}, line {number}: not UTF-8 text ({error}); save it in UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
