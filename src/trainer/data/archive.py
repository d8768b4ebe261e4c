"""Data sets that are published as one .tar.gz: the same care as for single files, for all that it holds."""

import logging
import re
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from trainer.data.files import DataFile, find
from trainer.errors import UserError

log = logging.getLogger(__name__)


def find_all(
    files: Sequence[DataFile], archive: DataFile, root: Path, mirrors: Sequence[str] = (), download: bool = True
) -> list[Path]:
    """Find the verified files of a data set; where one is missing, fetch the archive and unpack it.

    Args:
        files: What the archive holds, each under its path below `root`.
        archive: The archive itself, below `root`; one that lies there already is used and kept.
        root: The data root.
        mirrors: http or https folders which have the archive, tried in turn.
        download: Whether the mirrors may be asked.

    Returns:
        The paths, in the order of `files`.

    Raises:
        UserError: A file is missing and cannot be had, or is corrupt.
    """
    if not all((root / file.path).exists() for file in files):
        try:
            packed = find(archive, root, mirrors, download)
        except UserError as error:
            needed = ", ".join(Path(file.path).name for file in files if not (root / file.path).exists())
            raise UserError(
                f"{error}\nOr put its unpacked files into {root / Path(files[0].path).parent}: {needed}"
            ) from None
        try:
            with tarfile.open(packed) as tar:
                wanted = {file.path for file in files}
                tar.extractall(root, [member for member in tar if member.name in wanted], filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise UserError(f"{packed} cannot be unpacked: {error}\nDelete it and run again") from error
    return [find(file, root, download=False) for file in files]


def find_folder(
    folder: str,
    wanted: re.Pattern[str],
    archive: DataFile,
    root: Path,
    mirrors: Sequence[str] = (),
    download: bool = True,
) -> Path:
    """Find a folder of too many files for a checksum each; where it is missing, fetch the archive and unpack it.

    Args:
        folder: Its path below `root`, which is also its path in the archive.
        wanted: Matches the whole path of each member to be unpacked.
        archive: The archive, below `root`; one that lies there already is used and kept.
        root: The data root.
        mirrors: http or https folders which have the archive, tried in turn.
        download: Whether the mirrors may be asked.

    Returns:
        The folder. It appears whole or not at all; one that stood there already is not looked into.

    Raises:
        UserError: The archive cannot be had, is corrupt, or cannot be unpacked.
    """
    target = root / folder
    if target.is_dir():
        return target
    try:
        packed = find(archive, root, mirrors, download)
    except UserError as error:
        raise UserError(f"{error}\nOr put its unpacked folder there: {target}") from None
    log.info("unpacking %s", packed)
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=f"{folder}.unpacking-") as fresh:
            with tarfile.open(packed) as tar:
                # taken one by one as they come: to list them first would mean to unpack everything twice
                tar.extractall(fresh, (member for member in tar if wanted.fullmatch(member.name)), filter="data")
            if not target.is_dir():  # else another process was first
                (Path(fresh) / folder).rename(target)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        if not target.is_dir():
            raise UserError(f"{packed} cannot be unpacked: {error}\nDelete it and run again") from error
    return target
