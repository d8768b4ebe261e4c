"""Data sets that are published as one .tar.gz: the same care as for single files, for all that it holds."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

from trainer.data.files import DataFile, find
from trainer.errors import UserError


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
