"""Download and verification of data set files."""

import gzip
import hashlib
import logging
import os
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import DownloadColumn, Progress

from trainer.core.atomic_write import atomic_path
from trainer.core.errors import UserError

log = logging.getLogger(__name__)

CHUNK_BYTES = 2**20
MAX_DOWNLOAD_BYTES = 2**40  # stops an endless response from filling the disk
NETWORK_TIMEOUT_SECONDS = 30.0  # between two chunks, not for the whole download
LOCK_TIMEOUT_SECONDS = 6 * 3600.0
MAX_RESUMES = 3


@dataclass(frozen=True)
class DataFile:
    """A file of a data set.

    Args:
        path: Path below the data root.
        md5: Checksum of the final (unpacked) file; `""` accepts any content, but disables the download.
        download: File name in the mirrors' URLs. Defaults to the last part of `path`.
        download_md5: Checksum of the downloaded .gz file. Defaults to `md5`.
        checksum_hint: The setting that accepts a file with another checksum, for the error message.
    """

    path: str
    md5: str
    download: str = ""
    download_md5: str = ""
    checksum_hint: str = ""


class _FetchError(Exception):
    """A failed mirror or invalid file; the message is the short reason."""


def fetch_file(file: DataFile, root: Path, mirrors: Sequence[str] = (), download: bool = True) -> Path:
    """Return the path of a verified data file; unpack or download it first if it is missing.

    Args:
        file: The file.
        root: The data root.
        mirrors: URLs of http or https directories with the file, tried in turn.
        download: Whether the file may be downloaded.

    Raises:
        UserError: If the file is missing and cannot be downloaded, has another checksum, or its directory cannot be
            used.
    """
    target = root / file.path
    is_packed = file.download.endswith(".gz") and not file.path.endswith(".gz")
    packed = target.with_name(Path(file.download).name) if is_packed else None
    urls = [f"{mirror.rstrip('/')}/{quote(file.download or target.name)}" for mirror in mirrors if download]
    try:
        # an existing file needs neither a lock nor a writable directory: shared data is often read-only
        if _is_verified(target, file.md5):
            return target
        if not all(url.lower().startswith(("http://", "https://")) for url in urls):
            raise UserError(f"data.mirrors: {', '.join(mirrors)}: expected http or https URLs")
        with _download_lock(target) if urls or (packed and packed.exists()) else nullcontext():
            if not _is_verified(target, file.md5):  # another process may have downloaded it in the meantime
                if packed and _is_verified(packed, file.download_md5 or file.md5):
                    _unpack(packed, target, file.md5)
                else:
                    _download(file, target, packed is not None, urls, download)
    except _FetchError as error:
        # downloads are verified before they are renamed, so this is a file of the user: do not delete it
        action = "and run again to download the published file" if urls else "and put the published file there"
        hint = f"\nTo read the present file anyway: {file.checksum_hint}" if file.checksum_hint else ""
        raise UserError(f"{error}.\nMove it away {action}.{hint}") from error
    except OSError as error:
        raise UserError(
            f"The data directory {target.parent} cannot be used: {error}.\nFix it, or set data.dir (or the environment "
            f"variable TRAINER_DATA_DIR) to a directory that contains {file.path}."
        ) from error
    return target


def compute_md5(path: Path) -> str:
    """Compute the MD5 of a file, chunk by chunk."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def _is_verified(path: Path, md5: str) -> bool:
    """Return whether the file exists; raise an error if it has another checksum."""
    if md5 and path.exists() and (actual := compute_md5(path)) != md5:
        raise _FetchError(f"{path} is not the published file: its MD5 is {actual}, expected {md5}")
    return path.exists()


@contextmanager
def _download_lock(target: Path) -> Iterator[None]:
    """Hold a lock, so that only one process downloads the file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{target}.lock")
    try:
        acquired = lock.acquire(timeout=0)
    except Timeout:
        log.warning("waiting for another process that is downloading %s", target)
        acquired = lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
    with acquired:
        yield
        # Delete the lock file only after success, when other processes find the target. After a failure, a waiting
        # process and a new one would hold two different locks.
        with suppress(OSError):
            Path(lock.lock_file).unlink()


def _unpack(packed: Path, target: Path, md5: str) -> None:
    """Unpack a gzip file, and rename it to `target` when it is verified."""
    try:
        with atomic_path(target, ".unpacking") as temporary:
            with gzip.open(packed) as source, temporary.open("wb") as output:
                shutil.copyfileobj(source, output, CHUNK_BYTES)
            if md5 and (actual := compute_md5(temporary)) != md5:
                raise _FetchError(f"{packed} is not the published file: unpacked, its MD5 is {actual}, expected {md5}")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _FetchError(f"{packed} is not a complete gzip file ({error})") from error


def _download(file: DataFile, target: Path, packed: bool, urls: Sequence[str], download: bool) -> None:
    """Download a file from the first mirror that has it."""
    part = target.with_name(f"{Path(file.download or target.name).name}.part")
    failures: list[str] = []
    for url in urls:
        try:
            _download_from_mirror(url, part, file.download_md5 or file.md5)
            if packed:
                _unpack(part, target, file.md5)
                part.unlink()
            else:
                os.replace(part, target)
            return
        except _FetchError as error:
            log.warning("%s: %s", url, error)
            failures.append(f"{url}: {error}")
    reason = "all mirrors failed:" if failures else "it has no mirrors."
    if not download:
        reason = "data.download=false disables the download."
    raise UserError(
        "\n  ".join([f"{target} is missing, and {reason}", *failures])
        + (f"\nExpected MD5: {file.md5}" if file.md5 else "")
        + "\nPut the file there, or set data.dir (or the environment variable TRAINER_DATA_DIR) to a directory that "
        f"contains {file.path}."
    )


def _download_from_mirror(url: str, part: Path, md5: str) -> None:
    """Download `part` from one mirror and verify it; continue a partial download."""
    resumes = 0
    has_restarted = False
    for _ in range(2 + MAX_RESUMES):  # the first attempt, the resumes and one restart
        size = part.stat().st_size if part.exists() else 0
        try:
            offset = _resume_download(url, part, size)
        except _FetchError:
            resumes += 1
            if not part.exists() or part.stat().st_size <= size or resumes > MAX_RESUMES:
                raise
            continue
        if compute_md5(part) == md5:
            return
        part.unlink()
        # restart once if the invalid file contains a partial download of an earlier run
        if offset == 0 or has_restarted:
            break
        has_restarted = True
    raise _FetchError("checksum differs")


def _resume_download(url: str, part: Path, size: int) -> int:
    """Append the bytes after the first `size` to `part`; return the offset of the first byte from this mirror."""
    with _request(url, size) as response:
        if size and response.status == 416:
            return size  # no bytes after these: their checksum decides whether to restart
        if response.status not in (200, 206):
            raise _FetchError(f"HTTP {response.status}")
        offset = size if response.status == 206 else 0  # 200: the server ignores ranges and sends everything
        columns = (*Progress.get_default_columns(), DownloadColumn())
        progress = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        log.log(logging.INFO if progress.disable else logging.DEBUG, "downloading %s from byte %d", url, offset)
        task = progress.add_task(part.stem, total=response.length and offset + response.length, completed=offset)
        with progress, part.open("ab" if offset else "wb") as output:
            while output.tell() < MAX_DOWNLOAD_BYTES:
                try:
                    # returns available bytes; read() would wait for the whole chunk and lose it on a failure
                    chunk = response.read1(CHUNK_BYTES)
                except (OSError, HTTPException) as error:
                    raise _FetchError(f"interrupted at byte {output.tell()}: {error}") from error
                if not chunk:
                    break
                output.write(chunk)
                progress.advance(task, len(chunk))
        if response.length:  # read1 does not report an incomplete response
            raise _FetchError(f"interrupted {response.length} bytes early")
    return offset


def _request(url: str, offset: int) -> Any:
    """Return the response of a server that is asked for a file from an offset on."""
    headers = {"User-Agent": "trainer"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        return urlopen(Request(url, headers=headers), timeout=NETWORK_TIMEOUT_SECONDS)
    except HTTPError as error:
        return error  # also a response
    except (OSError, HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)  # URLError wraps the cause
        raise _FetchError(getattr(cause, "strerror", None) or str(cause)) from error
