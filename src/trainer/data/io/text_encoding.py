"""Encoding of text files."""

import codecs
import re
from collections.abc import Iterator
from typing import IO

from trainer.core.errors import UserError

CHUNK_BYTES = 2**20
UTF8 = "utf-8"
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WESTERN = "cp1252"
CYRILLIC = "cp1251"
MULTIBYTE_ENCODINGS = ("gb18030", "cp932", "euc_kr", "big5")
# Cyrillic words have no Latin letters
MIXED_WORD_PATTERN = re.compile(r"[a-z][\u0400-\u04ff]|[\u0400-\u04ff][a-z]", re.IGNORECASE)
SAMPLE_BYTES = 100_000


def detect_encoding(stream: IO[bytes]) -> str:
    """Return the encoding of a text: UTF-8 if all bytes are valid, else the most probable one.

    Args:
        stream: Stream at its start; it is read to its end.
    """
    head = stream.read(CHUNK_BYTES)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    decoder = codecs.getincrementaldecoder(UTF8)()
    chunk = head
    try:
        while chunk:
            decoder.decode(chunk)
            chunk = stream.read(CHUNK_BYTES)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return _guess_encoding(chunk[max(0, error.start - SAMPLE_BYTES // 2) : error.start + SAMPLE_BYTES // 2])
    return UTF8


def _guess_encoding(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    match = from_bytes(sample, cp_isolation=[*MULTIBYTE_ENCODINGS, CYRILLIC, WESTERN]).best()
    if match is not None and match.encoding in MULTIBYTE_ENCODINGS:
        return str(match.encoding)
    is_cyrillic = match is not None and not MIXED_WORD_PATTERN.search(sample.decode(CYRILLIC, "replace"))
    return CYRILLIC if is_cyrillic else WESTERN


def validate_encoding(encoding: str) -> str:
    """Return the usual name of an encoding; raise an error if Python does not know it."""
    try:
        "a".encode(encoding)  # raises an error for codecs that are no text encodings, such as rot13
        return codecs.lookup(encoding).name
    except LookupError:
        raise UserError(f"data.encoding: unknown encoding '{encoding}'; for example utf-8, cp1252, gb18030") from None


def iter_utf8(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the content of a stream in UTF-8 without a byte order mark.

    Raises:
        UnicodeError: If the content is not in this encoding.
    """
    if encoding == UTF8:  # no conversion: the reader of the bytes validates them
        chunk = stream.read(CHUNK_BYTES)
        yield chunk.removeprefix(codecs.BOM_UTF8)
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    is_start = True
    while chunk := stream.read(CHUNK_BYTES):
        text = decoder.decode(chunk)
        yield (text.removeprefix("\ufeff") if is_start else text).encode()
        is_start = False
    yield decoder.decode(b"", final=True).encode()
