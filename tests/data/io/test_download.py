"""Download and verification of data files with faulty servers and connections."""

import gzip
import hashlib
import io
import logging
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trainer.core.errors import UserError
from trainer.data.io import download
from trainer.data.io.download import DataFile, compute_md5, fetch_file

DATA = bytes(range(256)) * 16
MD5 = "2bcd3c4de20c918e19fab5c36249c70d"
PACKED = gzip.compress(DATA)
PLAIN = DataFile("SET/raw/data.bin", MD5)
ZIPPED = DataFile("SET/raw/data.bin", MD5, "data.bin.gz", hashlib.md5(PACKED).hexdigest())
CORRUPT = {  # packed file, expected MD5, message
    "wrong": (b"x", "0" * 32, "not the published file: its MD5 is 9dd4e461268c8034f5c8564e155c67a6, expected 0+"),
    "cut short": (PACKED[:-9], hashlib.md5(PACKED[:-9]).hexdigest(), "not a complete gzip file"),
    "of other content": (
        PACKED,
        ZIPPED.download_md5,
        f"not the published file: unpacked, its MD5 is {MD5}, expected f+",
    ),
}
RESUMED = {  # partial file, faults of the server, requests
    "resumes where it stopped": (DATA[:1000], [], ["a:1000-"]),
    "resumes when the connection breaks again": (DATA[:9], ["cut:5", "cut:6"], ["a:9-", "a:14-", "a:20-"]),
    "resumes when the server stalls": (DATA[:9], ["stall:91"], ["a:9-", "a:100-"]),
    "leaves a mirror after four breaks": (b"", ["cut:9"] * 4, ["a:", "a:9-", "a:18-", "a:27-", "b:36-"]),
    "leaves a mirror that returns no data": (DATA[:9], ["cut:0"], ["a:9-", "b:9-"]),
    "starts again if ranges are ignored": (b"x" * 1000, ["whole"], ["a:1000-"]),
    "starts again if another range comes": (DATA[:1000], ["shifted"], ["a:1000-", "a:"]),
    "starts again if the partial file is corrupted": (b"x" * 1000, [], ["a:1000-", "a:"]),
    "starts again if it is too long": (DATA + b"x", [], ["a:4097-", "a:"]),
    "is used if it was complete": (DATA, [], ["a:4096-"]),
    "ends with the connection if the length is unknown": (b"", ["lengthless"], ["a:"]),
}


class Handler(BaseHTTPRequestHandler):
    """Handler that returns one of the server's files, or the next fault."""

    def do_GET(self):
        byte_range = self.headers.get("Range", "bytes=").removeprefix("bytes=")
        self.server.requests.append(f"{self.path[1]}:{byte_range}")
        kind, _, count = (self.server.faults.pop(0) if self.server.faults else "").partition(":")
        body = self.server.files.get(self.path, b"")
        start = int(byte_range[:-1]) if byte_range and kind != "whole" else 0
        if start >= len(body):
            self.send_error(416 if start else 404)
            return
        self.send_response(206 if start else 200)
        start = 0 if kind == "shifted" else start
        self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if kind != "lengthless":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = start + int(count or len(body))
        self.wfile.write(body[start:end])
        if kind == "stall":
            self.server.resume.wait(10)
            self.wfile.write(body[end:])

    def log_message(self, *args):
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """Server of `files`; `faults` are those of the next responses, `requests` has "mirror:range" for each request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/a/data.bin": DATA, "/a/data.bin.gz": PACKED, "/b/data.bin": DATA}
        self.faults, self.requests, self.resume = [], [], threading.Event()
        self.a, self.b, self.c = (f"http://127.0.0.1:{self.server_port}/{name}" for name in "abc")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,)).start()
        yield running
        running.resume.set()
        running.shutdown()


def store(root, name, content):
    directory = root / "SET" / "raw"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(content)
    return directory / name


def assert_only_file(root, *others):
    assert (root / "SET/raw/data.bin").read_bytes() == DATA
    assert sorted(path.name for path in (root / "SET/raw").iterdir()) == ["data.bin", *others]


def test_the_md5_does_not_depend_on_the_chunk_size(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "CHUNK_BYTES", 2)
    assert compute_md5(store(tmp_path, "abc", b"abc")) == "900150983cd24fb0d6963f7d28e17f72"


def test_an_existing_file_needs_no_lock_and_no_request(tmp_path, server, monkeypatch):
    monkeypatch.setattr(download, "FileLock", None)  # taking a lock would fail
    path = store(tmp_path, "data.bin", DATA)
    assert fetch_file(PLAIN, tmp_path, [server.a]) == path
    assert server.requests == []
    assert_only_file(tmp_path)


def test_a_file_with_another_checksum_is_an_error_and_is_not_changed(tmp_path, server):
    path = store(tmp_path, "data.bin", b"x")
    fault = f"{path} is not the published file: its MD5 is 9dd4e461268c8034f5c8564e155c67a6, expected {MD5}."
    with pytest.raises(UserError) as error:
        fetch_file(PLAIN, tmp_path, [server.a])
    assert str(error.value) == f"{fault}\nMove it away and run again to download the published file."
    assert path.read_bytes() == b"x"


def test_an_existing_packed_file_is_unpacked(tmp_path):
    store(tmp_path, "data.bin.gz", PACKED)
    assert fetch_file(ZIPPED, tmp_path, download=False) == tmp_path / "SET/raw/data.bin"
    assert_only_file(tmp_path, "data.bin.gz")


@pytest.mark.parametrize(("content", "md5", "fault"), CORRUPT.values(), ids=CORRUPT)
def test_a_corrupted_packed_file_is_an_error_and_is_not_unpacked(tmp_path, content, md5, fault):
    path = store(tmp_path, "data.bin.gz", content)
    with pytest.raises(UserError, match=f"^{path} is {fault}.*\nMove it away and put the published file there"):
        fetch_file(DataFile(ZIPPED.path, "f" * 32, "data.bin.gz", md5), tmp_path)
    assert {file.suffix for file in path.parent.iterdir()} == {".gz", ".lock"}


@pytest.mark.parametrize("file", [PLAIN, ZIPPED], ids=["plain", "packed"])
def test_a_missing_file_is_downloaded_with_one_request(tmp_path, server, file):
    assert fetch_file(file, tmp_path, [server.a]) == tmp_path / "SET/raw/data.bin"
    assert server.requests == ["a:"]
    assert_only_file(tmp_path)


@pytest.mark.parametrize(("partial", "faults", "ranges"), RESUMED.values(), ids=RESUMED)
def test_an_interrupted_download(tmp_path, server, monkeypatch, partial, faults, ranges):
    monkeypatch.setattr(download, "NETWORK_TIMEOUT_SECONDS", 0.3)
    store(tmp_path, "data.bin.part", partial)
    server.faults = list(faults)
    fetch_file(PLAIN, tmp_path, [server.a, server.b])
    assert server.requests == ranges
    assert_only_file(tmp_path)


def test_after_a_wrong_checksum_the_next_mirror_is_tried(tmp_path, server):
    server.files["/a/data.bin"] = b"x" * 4096
    fetch_file(PLAIN, tmp_path, [server.a, server.b])
    assert server.requests == ["a:", "b:"]
    assert_only_file(tmp_path)


def test_if_all_mirrors_fail_the_error_has_each_reason(tmp_path, server):
    server.files["/a/data.bin"] = b"x"
    with pytest.raises(UserError) as error:
        fetch_file(PLAIN, tmp_path, [server.a, server.c, "http://127.0.0.1:1/d"])
    assert str(error.value) == (
        f"{tmp_path}/SET/raw/data.bin is missing, and all mirrors failed:\n"
        f"  {server.a}/data.bin: checksum differs\n"
        f"  {server.c}/data.bin: HTTP 404\n"
        "  http://127.0.0.1:1/d/data.bin: Connection refused\n"
        f"Expected MD5: {MD5}\n"
        "Put the file there, or set data.dir (or the environment variable TRAINER_DATA_DIR) to a directory that "
        "contains SET/raw/data.bin."
    )


@pytest.mark.parametrize(("download", "reason"), [(False, "data.download=false disables"), (True, "it has no mirrors")])
def test_without_mirrors_or_download_no_file_is_created(tmp_path, server, download, reason):
    with pytest.raises(UserError, match=f"^{tmp_path}/SET/raw/data.bin is missing, and {reason}.*\nExpected MD5"):
        fetch_file(PLAIN, tmp_path, [] if download else [server.a], download)
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1:1", "file:///tmp", "data"])
def test_a_mirror_must_be_http_or_https(tmp_path, mirror):
    with pytest.raises(UserError, match=f"^data.mirrors: {mirror}: expected http or https URLs$"):
        fetch_file(PLAIN, tmp_path, [mirror])


def test_an_unusable_root_is_an_error(tmp_path):
    root = store(tmp_path, "a file", b"")
    with pytest.raises(UserError, match=f"^The data directory {root}/SET/raw cannot be used: .*Not a directory"):
        fetch_file(PLAIN, root, ["http://127.0.0.1:1"])


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_gets_a_progress_bar_and_other_outputs_a_line(tmp_path, server, monkeypatch, caplog, is_terminal):
    screen = io.StringIO()
    screen.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with caplog.at_level(logging.INFO):
        fetch_file(PLAIN, tmp_path, [server.a])
    assert ("100%" in screen.getvalue()) == is_terminal
    assert caplog.messages == ([] if is_terminal else [f"downloading {server.a}/data.bin from byte 0"])


def test_two_processes_download_a_file_once(tmp_path, server):
    server.faults = ["stall:0"]
    code = f"from trainer.data.io.download import *; fetch_file({PLAIN}, Path('{tmp_path}'), ['{server.a}'])"
    environment = os.environ | {"PYTHONPATH": str(Path(download.__file__).parents[3])}
    path, (reading, writing) = tmp_path / "SET/raw/data.bin", os.pipe()
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=writing) for _ in range(2)]
    os.close(writing)
    with open(reading) as lines:
        assert lines.readline() == f"waiting for another process that is downloading {path}\n"
        server.resume.set()
        assert [process.wait(10) for process in processes] == [0, 0]
        assert lines.read() == ""
    assert server.requests == ["a:"]
    assert_only_file(tmp_path)
