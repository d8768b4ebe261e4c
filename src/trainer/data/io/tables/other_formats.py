"""Errors for files that are no text with delimiters, though their names say so."""

import codecs
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from trainer.core.errors import UserError

HEAD_BYTES = 2**16
SPARSE_PATTERN = re.compile(r"\S+( \d+:\S+)+")  # a label, and then index and value
FIRST_LINE_PATTERNS = {
    r"<(!doctype|html|\?xml)\b": "a web page or XML document; download the table itself",
    r"version https://git-lfs\.github\.com/": "a pointer of Git LFS instead of the file; fetch it by `git lfs pull`",
    r"\{\s*\"|\[\s*\{": "JSON; rename it to end in .jsonl, or in .json if it is one list",
}
UNICODE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
MAGIC_BYTES = {
    b"PK\x03\x04": "an Excel file or zip archive; unpack it, or rename it to end in .xlsx",
    b"PAR1": "a Parquet file; rename it to end in .parquet",
    b"ARROW1": "a Feather file; rename it to end in .feather",
    b"\xd0\xcf\x11\xe0": "an old Excel file; rename it to end in .xls",
    b"PK\x05\x06": "an empty zip archive",
}


def refuse_other_content(path: Path, stream: IO[bytes]) -> None:
    """Raise an error if a content starts like a format of another name.

    Args:
        path: The file, for messages.
        stream: Its content.
    """
    head = stream.read(HEAD_BYTES)
    for magic, reason in MAGIC_BYTES.items():
        if head.startswith(magic):
            raise UserError(f"{path}: {reason}")


def refuse_zero_bytes(path: Path, stream: IO[bytes]) -> None:
    """Raise an error if a content is binary, or is UTF-16 without a byte order mark. See `refuse_other_content`."""
    head = stream.read(HEAD_BYTES)
    if b"\0" in head and not head.startswith(UNICODE_MARKS):
        line = head[: head.index(b"\0")].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: a zero byte, so it is no text file; save it as CSV, or set data.encoding=utf-16-le "
            "if it is UTF-16"
        )


def refuse_other_format(path: Path, lines: Sequence[str]) -> None:
    """Raise an error if the first lines of a text are JSON, a web page, or sparse numbers."""
    filled = [line.strip() for line in lines if line.strip()]
    for pattern, reason in FIRST_LINE_PATTERNS.items():
        if filled and re.match(pattern, filled[0], re.IGNORECASE):
            raise UserError(f"{path}: {reason}")
    if filled and all(map(SPARSE_PATTERN.fullmatch, filled)):
        raise UserError(f"{path}: the sparse format INDEX:VALUE of LIBSVM cannot be read; save it as CSV")
