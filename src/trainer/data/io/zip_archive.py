"""Data sets published as one .zip archive of .gz files."""

import gzip
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile, ZipFile

from trainer.core.atomic_write import atomic_path
from trainer.core.errors import UserError


def unpack_gzip_members(archive: Path, targets: Mapping[str, Path]) -> None:
    """Unpack .gz files in a zip archive; the CRC of each is verified.

    Several processes may do so at the same time: each writes a temporary file and renames it.

    Args:
        archive: The archive.
        targets: Path of each unpacked file by the name of its member.

    Raises:
        UserError: If the archive is corrupted or has no such member.
    """
    try:
        with ZipFile(archive) as content:
            for member, target in targets.items():
                with (
                    content.open(member) as packed,
                    gzip.open(packed) as source,
                    atomic_path(target, f".{uuid4().hex}.unpacking") as temporary,
                    temporary.open("wb") as output,
                ):
                    shutil.copyfileobj(source, output)
    except (BadZipFile, KeyError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{archive} cannot be unpacked: {error}") from error
