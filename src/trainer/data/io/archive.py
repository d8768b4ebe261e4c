"""Data sets published as one .tar.gz archive."""

import logging
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from trainer.core.errors import UserError
from trainer.data.io.download import DataFile, fetch_file

log = logging.getLogger(__name__)


def fetch_files(
    files: Sequence[DataFile], archive: DataFile, root: Path, mirrors: Sequence[str] = (), download: bool = True
) -> list[Path]:
    """Return the paths of verified files; download and unpack their archive first if one is missing.

    Args:
        files: Files of the archive, with their paths below `root`.
        archive: The archive, stored below `root`; an existing one is used and not deleted.
        root: The data root.
        mirrors: URLs of http or https directories with the archive, tried in turn.
        download: Whether the archive may be downloaded.

    Raises:
        UserError: If a file is missing and cannot be downloaded, or is corrupted.
    """
    missing = [Path(file.path) for file in files if not (root / file.path).exists()]
    if missing:
        content = f"files into {(root / missing[0]).parent}: {', '.join(path.name for path in missing)}"
        archive_path = fetch_archive(archive, root, mirrors, download, content)
        try:
            _unpack(archive_path, root, {file.path for file in files}.__contains__)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise UserError(f"{archive_path} cannot be unpacked: {error}") from error
    return [fetch_file(file, root, download=False) for file in files]


def fetch_directory(
    directory: str,
    pattern: re.Pattern[str],
    archive: DataFile,
    root: Path,
    mirrors: Sequence[str] = (),
    download: bool = True,
) -> Path:
    """Return a directory of many files without individual checksums; unpack its archive first if it is missing.

    The directory is renamed after unpacking, so it is always complete. The content of an existing one is not checked.

    Args:
        directory: Path of the directory, below `root` and in the archive.
        pattern: Pattern of the complete paths of the archive members to unpack.
        archive: The archive, stored below `root`; an existing one is used and not deleted.
        root: The data root.
        mirrors: URLs of http or https directories with the archive, tried in turn.
        download: Whether the archive may be downloaded.

    Raises:
        UserError: If the archive cannot be downloaded or unpacked, or is corrupted.
    """
    target = root / directory
    if target.is_dir():
        return target
    archive_path = fetch_archive(archive, root, mirrors, download, f"directory there: {target}")
    log.info("unpacking %s", archive_path)
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=f"{directory}.unpacking-") as temporary:
            _unpack(archive_path, Path(temporary), pattern.fullmatch)
            if not target.is_dir():  # another process may have created it in the meantime
                (Path(temporary) / directory).rename(target)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        if not target.is_dir():
            raise UserError(f"{archive_path} cannot be unpacked: {error}") from error
    return target


def fetch_archive(archive: DataFile, root: Path, mirrors: Sequence[str], download: bool, content: str) -> Path:
    """Return the path of an archive, see `fetch_file`; an error suggests to put its unpacked `content` somewhere."""
    try:
        return fetch_file(archive, root, mirrors, download)
    except UserError as error:
        raise UserError(f"{error}\nOr put its unpacked {content}") from None


def _unpack(archive: Path, target: Path, is_selected: Callable[[str], object]) -> None:
    """Write the selected regular files of an archive; skip links and devices.

    Files are read in one pass, as listing them first would decompress the archive twice. `extractall` can filter links
    only from Python 3.11.4 on.
    """
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and is_selected(member.name):
                (target / member.name).parent.mkdir(parents=True, exist_ok=True)
                with (target / member.name).open("wb") as file:
                    shutil.copyfileobj(tar.extractfile(member), file)  # type: ignore[arg-type]  # regular files have one
