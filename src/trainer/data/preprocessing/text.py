"""Texts: words become their numbers in the vocabulary of the training."""

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
from trainer.core.spec import PADDING
from trainer.data.io.csv_file import csv_parts
from trainer.data.io.csv_header import ADD_NAMES, check_header
from trainer.data.io.review_files import read_text
from trainer.data.io.tokenization import RULES, Keep, encode, is_empty, tokenizer
from trainer.data.preprocessing.base import Examples, Preprocessing, files_in, in_parts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")

Line = tuple[str, int | None, str]  # file, line from 1 or None, text


@dataclass(frozen=True)
class Texts(Preprocessing):
    """What is stored are rows of numbers of words (texts, max_length), with padding behind the shorter ones.

    Args:
        vocabulary: The words by their number, with line breaks between them: one text is saved and copied at once.
        max_length: Words that are kept of a text.
        keep: Whether these are at its `"start"` or at its `"end"`.
        text_column: Of a CSV file: name or number.
        header: Whether its first line names the columns.
        delimiter: Between its cells.
        rules: How texts were cut into words; other ones are warned of.
    """

    vocabulary: str
    max_length: int
    keep: Keep
    text_column: str | int = 0
    header: bool = True
    delimiter: str = ","
    rules: str = RULES

    def prepare(self, inputs: Tensor) -> Tensor:
        """Cut tokens to the longest text of the batch: (batch, max_length) -> (batch, time)."""
        longest = int((inputs != PADDING).any(0).sum())
        return inputs[:, :longest].long()

    def read(self, files: Iterable[Path], at_once: int) -> Iterator[Examples]:
        """A text from each filled line of a file, from each file of a directory, from each row of a CSV file."""
        if self.rules != RULES:
            log.warning("texts were cut into words by other rules in training: %s; here: %s", self.rules, RULES)
        for some in in_parts(self._texts(files, at_once), at_once):
            sources, rows, texts = zip(*some, strict=True)
            yield Examples([*sources], [*rows], self.stored(texts))

    def stored(self, texts: Iterable[str]) -> Tensor:
        """Any texts as rows of numbers (texts, max_length)."""
        return encode([*texts], self._tokenizer).rows(self.max_length, self.keep)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        return tokenizer(self.vocabulary.split("\n"))

    def _texts(self, paths: Iterable[Path], at_once: int) -> Iterator[Line]:
        for path in paths:
            if path.is_dir():
                for file in files_in([path], (".txt",)):
                    yield str(file), None, read_text(file)
                continue
            [file] = files_in([path], ())
            yield from self._rows(file, at_once) if file.name.lower().endswith(TABLES) else lines_of(file)

    def _rows(self, file: Path, at_once: int) -> Iterator[Line]:
        for number, part in enumerate(csv_parts(file, header=self.header, delimiter=self.delimiter, rows=at_once)):
            if number == 0 and isinstance(self.text_column, int):
                check_header(part, {}, ADD_NAMES)
            column = part.index("column of texts", self.text_column)
            for row, text in enumerate(part.cells(column)):
                if is_empty(text):
                    raise UserError(f"{part.where(row, column)}: the text is empty; take the row out of the file")
                yield str(file), part.lines[row], text


def lines_of(file: Path) -> Iterator[Line]:
    """The filled lines of a text file in UTF-8, unpacked where its name ends in .gz.

    Raises:
        UserError: It is no such file; says the line.
    """
    number = 0
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if not is_empty(text):
                    yield str(file), number, text
    except UnicodeDecodeError as error:
        raise UserError(f"{file}, line {number}: not text in UTF-8 ({error}); save it as such") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
