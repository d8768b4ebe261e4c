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
CYRILLIC_LETTERS = bytes([0xA8, 0xB8, *range(0xC0, 0x100)])
MIN_CYRILLIC_SHARE = 0.9  # of the bytes that are not ASCII; the bytes of other scripts are below 0xC0 more often
MIN_WORD_LENGTH = 3  # on average, for Cyrillic; two bytes may be one Chinese character
FOREIGN_BYTES_PATTERN = re.compile(rb"[\x80-\xff]+")
FOREIGN_PATTERN = re.compile(r"[a-z]?[^\x00-\x7f]+[a-z]?", re.IGNORECASE)  # with the Latin letters beside it
EASTERN_PATTERN = re.compile(r"[^\x00-\x7f\uff61-\uff9f]")  # one byte of cp1252 may be a half-width letter of cp932
SAMPLE_BYTES = 100_000


def detect_encoding(stream: IO[bytes]) -> str:
    """Return the encoding of a text: UTF-8 if all bytes are valid, else the most probable one.

    Args:
        stream: Stream at its start; it is read to its end.

    Raises:
        UnicodeError: If the text has several encodings.
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

    if _is_cyrillic(sample):
        return CYRILLIC
    match = from_bytes(sample, cp_isolation=[*MULTIBYTE_ENCODINGS, WESTERN]).best()
    is_multibyte = match is not None and match.encoding in MULTIBYTE_ENCODINGS
    if match is not None and is_multibyte and _is_eastern(str(match)):
        return match.encoding
    runs = FOREIGN_BYTES_PATTERN.findall(sample)
    if sum(map(_is_utf8, runs)) >= max(2, len(runs) / 2):  # a few such runs may be Western: `Ü“`
        raise UnicodeError("a part of it is UTF-8, and another part is not")
    return WESTERN


def _is_utf8(content: bytes) -> bool:
    try:
        return bool(content.decode())
    except UnicodeDecodeError:
        return False


def _is_cyrillic(sample: bytes) -> bool:
    """Return whether the letters that are not ASCII are Cyrillic, and form words of their own."""
    runs = FOREIGN_BYTES_PATTERN.findall(sample)
    content = b"".join(runs)
    letters = len(content) - len(content.translate(None, CYRILLIC_LETTERS))
    mixed = _count_mixed(sample.decode(CYRILLIC, "replace"))
    return letters >= MIN_CYRILLIC_SHARE * len(content) and len(content) >= MIN_WORD_LENGTH * len(runs) and not mixed


def _is_eastern(text: str) -> bool:
    """Return whether the letters that are not ASCII form words of their own, and are not only half-width letters."""
    return bool(EASTERN_PATTERN.search(text)) and 2 * _count_mixed(text) < len(FOREIGN_PATTERN.findall(text))


def _count_mixed(text: str) -> int:
    """Return the number of foreign words with Latin letters at their start or end."""
    return sum(word[0].isascii() or word[-1].isascii() for word in FOREIGN_PATTERN.findall(text))


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
