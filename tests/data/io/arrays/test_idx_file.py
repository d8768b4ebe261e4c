"""Files in the IDX format of MNIST."""

import gzip
import struct

import pytest

from trainer.core.errors import UserError
from trainer.data.io.arrays.idx_file import is_idx_file, read_idx, read_idx_header


def encode_idx(shape, content, code=8):
    """Return the bytes of a file in the IDX format."""
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape) + bytes(content)


def test_files_of_any_number_of_axes_are_read(tmp_path):
    file = tmp_path / "some"
    file.write_bytes(encode_idx((2, 3), range(6)))
    assert read_idx(file).tolist() == [[0, 1, 2], [3, 4, 5]]
    file.write_bytes(encode_idx((300,), [7] * 300))
    assert read_idx(file).shape == (300,)


@pytest.mark.parametrize(
    ("code", "kind", "dtype"),
    [(9, "b", "int8"), (11, "h", "int16"), (12, "i", "int32"), (13, "f", "float32"), (14, "d", "float64")],
)
def test_numbers_of_every_type_are_read_plain_and_packed(tmp_path, code, kind, dtype):
    file = tmp_path / "some.gz"
    content = encode_idx((3,), struct.pack(f">3{kind}", -1, 2, 100), code)
    for stored in (content, gzip.compress(content)):
        file.write_bytes(stored)
        assert is_idx_file(file)
        assert read_idx_header(file)[0] == (3,)
        assert (read_idx(file).tolist(), str(read_idx(file).dtype)) == ([-1, 2, 100], dtype)


INVALID = {
    "empty": (b"", "not an IDX file"),
    "cut in its header": (encode_idx((2, 3), range(6))[:9], "not an IDX file; its header is incomplete"),
    "cut short": (encode_idx((2, 3), range(6))[:-1], "has 6 bytes of data, found 5"),
    "too long": (encode_idx((2, 3), range(6)) + b"x", "has 6 bytes of data, found 7"),
    "of bytes instead of floats": (encode_idx((2, 3), range(6), 13), "has 24 bytes of data, found 6"),
    "something else": (b"<!DOCTYPE html>", "not an IDX file"),
    "cut in its packed data": (
        gzip.compress(encode_idx((200,), range(200)), mtime=0)[:100],
        "cannot be read: Compressed file ended",
    ),
}


@pytest.mark.parametrize(("content", "message"), INVALID.values(), ids=INVALID)
def test_an_invalid_file_is_an_error(tmp_path, content, message):
    file = tmp_path / "some-ubyte"
    file.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_idx(file)
    assert str(error.value).startswith(f"{file}: ")
    assert message in str(error.value)
