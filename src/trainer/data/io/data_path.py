"""Paths of users' files, and download of files that are missing."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from trainer.core.errors import UserError
from trainer.data.io.download import DataFile, fetch_file


def is_url(path: str) -> bool:
    """Return whether a path is an http or https URL."""
    return path.lower().startswith(("http://", "https://"))


def find_path(path: str, root: str | Path) -> Path:
    """Return the path of a file or directory, which may be missing.

    Args:
        path: Absolute path, path relative to the working directory, or path relative to `root`, in this order; `~` is
            the home directory. A URL is a file of the same name in `root`.
        root: The data root.
    """
    if is_url(path):
        return Path(root).expanduser() / unquote(path.rpartition("/")[2])
    expanded = Path(path).expanduser()
    return expanded if expanded.is_absolute() or expanded.exists() else Path(root).expanduser() / expanded


def fetch_path(
    path: str,
    root: Path,
    md5: str,
    mirrors: Sequence[str] = (),
    download: bool = True,
    checksum_hint: str = "data.md5=''",
) -> Path:
    """Return the path of a file; download it first if it is missing. See `find_path` and `fetch_file`.

    Args:
        path: Path of the file, or an http(s) URL that is downloaded to `root` once.
        root: The data root.
        md5: Checksum of the file, or `CHECKSUM FILE` as md5sum prints it, which is ignored if `path` names another
            file. `""` accepts any content, except from the network.
        mirrors: URLs of http or https directories with the file.
        download: Whether the file may be downloaded.
        checksum_hint: The setting that accepts a file with another checksum, for the error message.
    """
    md5, _, md5_file = md5.strip().partition(" ")
    md5_file = md5_file.strip(" *")  # md5sum prints an asterisk before the name in binary mode
    file = find_path(path, root)
    if md5_file and os.path.abspath(root / md5_file) != os.path.abspath(file):
        md5 = ""
    if not is_url(path):
        if md5:
            base, name = (file.parent, file.name) if file.is_file() else (root, path)
            return fetch_file(DataFile(name, md5, checksum_hint=checksum_hint), base, mirrors, download)
        if file.is_file():
            return file
        raise UserError(explain_missing_path(path, root, "file"))
    parent, _, name = path.rpartition("/")
    if not md5:
        raise UserError("data.md5: a download requires the MD5 of the file, as md5sum FILE prints it")
    if not name or urlsplit(path).query:
        raise UserError(f"data.path: '{path}' does not end in a file name; download it manually")
    file_spec = DataFile(unquote(name), md5, checksum_hint=checksum_hint)
    return fetch_file(file_spec, root, [parent, *mirrors], download)


def explain_missing_path(path: str, root: str | Path, kind: str) -> str:
    """Return the message for a path that does not exist.

    Args:
        path: Value of data.path.
        root: The data root.
        kind: Expected kind of path, `"file"` or `"directory"`.
    """
    existing = find_path(path, root)
    if existing.exists():
        return f"data.path: '{existing}' is no {kind}" + ("; set the path of a file in it" if existing.is_dir() else "")
    if Path(path).expanduser().is_absolute():
        return f"data.path: no {kind} '{Path(path).expanduser()}'"
    return (
        f"data.path: no {kind} '{path}' in the working directory, and no '{Path(root).expanduser() / path}'\n"
        f"  Set data.path to an absolute path, or data.dir (or the environment variable TRAINER_DATA_DIR) to a "
        f"directory that contains {path}."
    )
