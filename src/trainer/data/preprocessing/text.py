"""Conversion of texts to tokens of the training vocabulary."""

import io
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.core.spec import PADDING_INDEX
from trainer.data.io.compressed_file import COMPRESSION_SUFFIXES, open_content, regular_file
from trainer.data.io.tables.dialect_detection import DialectSettings
from trainer.data.io.tables.memory_table import make_text_table, to_arrow
from trainer.data.io.tables.table_file import TABLE_SUFFIXES, iter_tables
from trainer.data.io.tables.text_table import TextTable
from trainer.data.io.texts.html_text import strip_html
from trainer.data.io.texts.labeled_texts import read_text
from trainer.data.io.texts.text_tables import detect_text_dialect
from trainer.data.io.texts.tokenization import RULES, Keep, TokenKind, Vocabulary, build_tokenizer, encode, is_empty
from trainer.data.preprocessing.base import Examples, Preprocessing, batched, iter_files, split_examples

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

TextLine = tuple[str, int | None, str]  # file or sentence, line from 1 or None, text
FILE_SUFFIXES = (*TABLE_SUFFIXES, ".txt", *(f".txt{suffix}" for suffix in COMPRESSION_SUFFIXES))


@dataclass(frozen=True)
class TextPreprocessing(Preprocessing):
    """Stored inputs are rows of tokens (texts, max_length), padded at the end.

    Args:
        vocabulary: The vocabulary by `Vocabulary.to_text` (one string is faster to save and copy than many).
        max_length: Maximum number of tokens per text.
        keep: Whether the `"start"` or the `"end"` of a longer text is used.
        tokens: Kind of the tokens.
        text_column: Name or index of the text column of tables.
        header: Whether tables have column names.
        html: Whether the texts are HTML.
        rules: Tokenizer rules of the training; other rules at prediction cause a warning.
    """

    vocabulary: str
    max_length: int
    keep: Keep
    tokens: TokenKind = "words"
    text_column: str | int = 0
    header: bool = True
    html: bool = False
    rules: str = ""

    def prepare(self, inputs: Tensor) -> Tensor:
        """Cut tokens to the longest text of the batch: (batch, max_length) -> (batch, time)."""
        longest = int((inputs != PADDING_INDEX).any(0).sum())
        return inputs[:, :longest].long()

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield one text per non-empty line of a text file, per file of a directory, or per row of a table."""
        return self.read_inputs(files, batch_size)

    def read_inputs(self, inputs: Iterable[str | Path], batch_size: int) -> Iterator[Examples]:
        """Read files as `read` does, and each string that is a sentence as one text; see `is_sentence`."""
        rules = RULES[self.tokens].describe()
        if self.rules != rules:
            log.warning("training used other tokenizer rules: %s; now: %s", self.rules, rules)
        for batch in batched(self._read_texts(inputs, batch_size), batch_size):
            sources, rows, texts = zip(*batch, strict=True)
            yield Examples([*sources], [*rows], self.encode_texts(texts))

    def read_values(self, values: Any, batch_size: int) -> Iterator[Examples]:
        """Yield the texts of a data frame, or of rows as dictionaries, in the text column of the training."""
        table = make_text_table(to_arrow(values))
        texts = table.cells(self._find_column(table))
        if empty := [row for row, text in enumerate(texts) if is_empty(text)]:
            raise UserError(f"{table.locate(empty[0])}: the text is empty; remove the row")
        yield from split_examples(self.encode_texts(texts), batch_size)

    def encode_texts(self, texts: Iterable[str]) -> Tensor:
        """Encode texts as padded rows of tokens (texts, max_length)."""
        plain = [strip_html(text) if self.html else text for text in texts]
        return encode(plain, self._tokenizer).pad(self.max_length, self.keep)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        return build_tokenizer(Vocabulary.from_text(self.vocabulary), self.tokens)

    def _read_texts(self, inputs: Iterable[str | Path], batch_size: int) -> Iterator[TextLine]:
        for source in inputs:
            if is_sentence(source):
                if is_empty(str(source)):
                    raise UserError("predict: an empty text; expected a sentence or a file")
                yield str(source), None, str(source)
                continue
            path = Path(source)
            if path.is_dir():
                for file in iter_files([path], (".txt",)):
                    yield str(file), None, read_text(file, encoding=None)
                continue
            [file] = iter_files([path], ())
            is_table = file.name.lower().endswith(TABLE_SUFFIXES)
            yield from self._read_rows(file, batch_size) if is_table else read_lines(file)

    def _read_rows(self, file: Path, batch_size: int) -> Iterator[TextLine]:
        names = [self.text_column] if isinstance(self.text_column, str) else []
        settings = DialectSettings(header=None if self.header else False)
        with regular_file(file) as path:
            for chunk in iter_tables(path, detect_text_dialect(path, settings, names), rows=batch_size):
                column = self._find_column(chunk)
                for row, text in enumerate(chunk.cells(column)):
                    if is_empty(text):
                        raise UserError(f"{chunk.locate(row, column)}: the text is empty; remove the row from the file")
                    yield str(file), chunk.find_line(row), text

    def _find_column(self, table: TextTable) -> int:
        """Return the index of the text column; the only column of a file without column names contains the texts."""
        if table.width == 1 and not table.names:
            return 0
        if isinstance(self.text_column, int) or self.text_column in table.names:
            return table.index("text column", self.text_column)
        reason = did_you_mean(self.text_column, table.names) if table.names else "; it has no column names"
        raise UserError(f"{table.path}: no column '{self.text_column}', the text column of the training{reason}")


def is_sentence(source: str | Path) -> bool:
    """Return whether an argument is a text, and not the path of a file or directory.

    It is a path if such a file exists, if it ends like a file of texts (`.txt`, `.csv`), or if it contains a path
    separator but no blank.
    """
    text = str(source)
    if isinstance(source, Path) or os.path.exists(text) or text.lower().endswith(FILE_SUFFIXES):
        return False
    return os.sep not in text or any(map(str.isspace, text.strip()))


def read_lines(file: Path) -> Iterator[TextLine]:
    """Yield the non-empty lines of a UTF-8 text file, which may be compressed.

    Raises:
        UserError: If the file cannot be read or is not in UTF-8.
    """
    number = 0
    try:
        with _open_lines(file) as stream:
            for number, line in enumerate(stream, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if not is_empty(text):
                    yield str(file), number, text
    except UnicodeDecodeError as error:
        raise UserError(f"{file}, line {number}: not UTF-8 text ({error}); save it in UTF-8") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error}") from error


@contextmanager
def _open_lines(file: Path) -> Iterator[Iterable[bytes]]:
    """Yield the lines of a file, which may be compressed or a pipe; a pipe can be read only once."""
    if file.name.lower().endswith(COMPRESSION_SUFFIXES):
        with open_content(file) as content, io.BufferedReader(content) as lines:  # type: ignore[type-var]
            yield lines
    else:
        with file.open("rb") as stream:
            yield stream
