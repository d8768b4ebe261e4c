"""Data sets that are published as one .tar.gz: the same care as for single files, for all that it holds."""

import logging
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from trainer.core.errors import UserError
from trainer.data.io.download import DataFile, find

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
            _unpack(packed, root, {file.path for file in files}.__contains__)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise UserError(f"{packed} cannot be unpacked: {error}") from error
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
            _unpack(packed, Path(fresh), wanted.fullmatch)
            if not target.is_dir():  # else another process was first
                (Path(fresh) / folder).rename(target)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        if not target.is_dir():
            raise UserError(f"{packed} cannot be unpacked: {error}") from error
    return target


def _unpack(packed: Path, into: Path, wanted: Callable[[str], object]) -> None:
    """Write the plain files of an archive that are wanted by their whole path; links and devices are passed by.

    One by one as they come: to list them first would mean to unpack everything twice. `extractall` has its filter
    against links only from Python 3.11.4 on.
    """
    with tarfile.open(packed) as tar:
        for member in tar:
            if member.isfile() and wanted(member.name):
                (into / member.name).parent.mkdir(parents=True, exist_ok=True)
                with (into / member.name).open("wb") as file:
                    shutil.copyfileobj(tar.extractfile(member), file)  # type: ignore[arg-type]  # plain files have one
