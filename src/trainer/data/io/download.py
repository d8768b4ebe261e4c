"""Finding, downloading and verifying the files of a data set."""

import gzip
import hashlib
import logging
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import DownloadColumn, Progress

from trainer.core.errors import UserError

log = logging.getLogger(__name__)

CHUNK_BYTES = 2**20
LARGEST_BYTES = 2**40  # a server which sends without end must not fill any disk
NETWORK_SECONDS = 30.0  # the longest silence of a server, not the length of a download
LOCK_SECONDS = 6 * 3600.0
RESUMES = 3


@dataclass(frozen=True)
class DataFile:
    """One file of a data set: its path below the data root, and its content.

    Args:
        path: Path below the data root.
        md5: Checksum of the final (unpacked) file; `""` accepts any content, but then nothing is downloaded.
        download: Name appended to a mirror's URL. Defaults to the last part of `path`.
        download_md5: Checksum of the file as downloaded if it differs (packed .gz). Defaults to `md5`.
        other: The setting that reads another file in its place, for the error message.
    """

    path: str
    md5: str
    download: str = ""
    download_md5: str = ""
    other: str = ""


class _UnusableError(Exception):
    """A mirror or a packed file did not give the data; the message is the short reason."""


def find(file: DataFile, root: Path, mirrors: Sequence[str] = (), download: bool = True) -> Path:
    """Find a verified data file, unpacking or downloading it when it does not stand there yet.

    Args:
        file: The file wanted.
        root: The data root.
        mirrors: http or https folders which have the file, tried in turn.
        download: Whether the mirrors may be asked.

    Returns:
        The path of the file below `root`; its MD5 is the expected one.

    Raises:
        UserError: The file is missing and cannot be downloaded, has another checksum, or its folder cannot be used.
    """
    target = root / file.path
    is_packed = file.download.endswith(".gz") and not file.path.endswith(".gz")
    packed = target.with_name(Path(file.download).name) if is_packed else None
    urls = [f"{mirror.rstrip('/')}/{quote(file.download or target.name)}" for mirror in mirrors if download]
    try:
        # A finished file needs neither a lock nor a writable folder: shared data is often read-only.
        if _stands(target, file.md5):
            return target
        if not all(url.lower().startswith(("http://", "https://")) for url in urls):
            raise UserError(f"The mirrors of {file.path} must be http or https: {', '.join(mirrors)}.")
        with _locked(target) if urls or (packed and packed.exists()) else nullcontext():
            if not _stands(target, file.md5):  # else another process brought it while this one waited
                if packed and _stands(packed, file.download_md5 or file.md5):
                    _unpack(packed, target, file.md5)
                else:
                    _download(file, target, packed is not None, urls, download)
    except _UnusableError as error:
        # A download is verified before it gets this name, so another content was stored here by the user: keep it.
        remedy = "and run again to download the published file" if urls else "and put the published file there"
        other = f"\nTo read the present file on purpose: {file.other}" if file.other else ""
        raise UserError(f"{error}.\nMove it elsewhere {remedy}.{other}") from error
    except OSError as error:
        raise UserError(
            f"The data folder {target.parent} cannot be used: {error}.\nMend that, or point data.dir "
            f"(or the environment variable TRAINER_DATA_DIR) at a folder which has {file.path}."
        ) from error
    return target


def md5_of(path: Path) -> str:
    """Compute the MD5 of a file without holding all of it in memory."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _stands(path: Path, md5: str) -> bool:
    """Return whether the file exists; raise an error if its content is not the expected one."""
    if md5 and path.exists() and (found := md5_of(path)) != md5:
        raise _UnusableError(f"{path} is not the published file: its MD5 is {found}, expected {md5}")
    return path.exists()


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock of a file, so that no two processes fetch it at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{target}.lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        log.warning("waiting for another process which is fetching %s", target)
        held = lock.acquire(timeout=LOCK_SECONDS)
    with held:
        yield
        # Removed only now: the target stands, so whoever gets this lock or a new one finds it and fetches
        # nothing. After a failure it stays, for else a waiter and a newcomer could fetch at once.
        with suppress(OSError):
            Path(lock.lock_file).unlink()


def _unpack(packed: Path, target: Path, md5: str) -> None:
    """Unpack a gzip file; the target appears only when it is whole and right."""
    fresh = target.with_name(f"{target.name}.unpacking")
    try:
        with gzip.open(packed) as source, fresh.open("wb") as out:
            while chunk := source.read(CHUNK_BYTES):
                out.write(chunk)
        if md5 and (found := md5_of(fresh)) != md5:
            raise _UnusableError(f"{packed} is not the published file: unpacked, its MD5 is {found}, expected {md5}")
        os.replace(fresh, target)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _UnusableError(f"{packed} is not a complete gzip file ({error})") from error
    finally:
        fresh.unlink(missing_ok=True)


def _download(file: DataFile, target: Path, packed: bool, urls: Sequence[str], download: bool) -> None:
    """Fetch a file from the first mirror which has it, or say why none had."""
    part = target.with_name(f"{Path(file.download or target.name).name}.part")
    failures: list[str] = []
    for url in urls:
        try:
            _fetch(url, part, file.download_md5 or file.md5)
            if packed:
                _unpack(part, target, file.md5)
                part.unlink()
            else:
                os.replace(part, target)
            return
        except _UnusableError as error:
            log.warning("%s: %s", url, error)
            failures.append(f"{url}: {error}")
    asked = "no mirror gave it:" if failures else "no mirror is known for it."
    why = asked if download else "data.download=false forbade fetching it."
    raise UserError(
        "\n  ".join([f"{target} is missing, and {why}", *failures])
        + (f"\nExpected MD5: {file.md5}" if file.md5 else "")
        + "\nPut the file there, or point data.dir (or the environment variable TRAINER_DATA_DIR) at a folder which "
        f"has {file.path}."
    )


def _fetch(url: str, part: Path, md5: str) -> None:
    """Bring `part` to its full, verified content from one mirror, resuming what is there already."""
    resumes, restarted = 0, False
    for _ in range(2 + RESUMES):  # the first try, the resumes and one fresh start
        held = part.stat().st_size if part.exists() else 0
        try:
            began = _append(url, part, held)
        except _UnusableError:
            resumes += 1
            if not part.exists() or part.stat().st_size <= held or resumes > RESUMES:
                raise
            continue
        if md5_of(part) == md5:
            return
        part.unlink()
        # What an earlier run left may be to blame, but only once, and only when it was built upon.
        if began == 0 or restarted:
            break
        restarted = True
    raise _UnusableError("checksum differs")


def _append(url: str, part: Path, held: int) -> int:
    """Add to `part` what it lacks after `held` bytes; give the offset where this mirror's bytes begin."""
    headers = {"User-Agent": "trainer"} | ({"Range": f"bytes={held}-"} if held else {})
    try:
        answer: Any = urlopen(Request(url, headers=headers), timeout=NETWORK_SECONDS)
    except HTTPError as refusal:
        answer = refusal  # it is an answer too
    except (OSError, HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)  # a URLError wraps the error itself
        raise _UnusableError(getattr(cause, "strerror", None) or str(cause)) from error
    with answer:
        if held and answer.status == 416:
            return held  # nothing lies after the held bytes: their checksum says whether to start again
        if answer.status not in (200, 206):
            raise _UnusableError(f"HTTP {answer.status}")
        began = held if answer.status == 206 else 0  # 200: the server ignores ranges and sends all of it
        columns = (*Progress.get_default_columns(), DownloadColumn())
        bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        log.log(logging.INFO if bar.disable else logging.DEBUG, "downloading %s from byte %d", url, began)
        task = bar.add_task(part.stem, total=answer.length and began + answer.length, completed=began)
        with bar, part.open("ab" if began else "wb") as out:
            while out.tell() < LARGEST_BYTES:
                try:
                    # Gives what has arrived; read() would wait for all of it, and lose it in a break.
                    chunk = answer.read1(CHUNK_BYTES)
                except (OSError, HTTPException) as error:
                    raise _UnusableError(f"broken off at byte {out.tell()}: {error}") from error
                if not chunk:
                    break
                out.write(chunk)
                bar.advance(task, len(chunk))
        if answer.length:  # read1 reports an early end as if it were the end
            raise _UnusableError(f"broken off {answer.length} bytes early")
    return began
