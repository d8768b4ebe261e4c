"""Data files: found, downloaded through faults of servers and lines, verified, and never fetched twice."""

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
from trainer.data.io.download import DataFile, find, md5_of

DATA = bytes(range(256)) * 16
MD5 = "2bcd3c4de20c918e19fab5c36249c70d"
PACKED = gzip.compress(DATA)
PLAIN = DataFile("SET/raw/data.bin", MD5)
ZIPPED = DataFile("SET/raw/data.bin", MD5, "data.bin.gz", hashlib.md5(PACKED).hexdigest())
CORRUPT = {  # a packed file, the MD5 it should have, what is said of it
    "wrong": (b"x", "0" * 32, "not the published file: its MD5 is 9dd4e461268c8034f5c8564e155c67a6, expected 0+"),
    "cut short": (PACKED[:-9], hashlib.md5(PACKED[:-9]).hexdigest(), "not a complete gzip file"),
    "of other content": (
        PACKED,
        ZIPPED.download_md5,
        f"not the published file: unpacked, its MD5 is {MD5}, expected f+",
    ),
}
RESUMED = {  # what an earlier run left, the faults of the server, what it is asked for
    "resumes where it stopped": (DATA[:1000], [], ["a:1000-"]),
    "resumes when the connection breaks again": (DATA[:9], ["cut:5", "cut:6"], ["a:9-", "a:14-", "a:20-"]),
    "resumes when the server falls silent": (DATA[:9], ["stall:91"], ["a:9-", "a:100-"]),
    "leaves a mirror after four breaks": (b"", ["cut:9"] * 4, ["a:", "a:9-", "a:18-", "a:27-", "b:36-"]),
    "leaves a mirror that gives nothing more": (DATA[:9], ["cut:0"], ["a:9-", "b:9-"]),
    "starts again if ranges are ignored": (b"x" * 1000, ["whole"], ["a:1000-"]),
    "starts again if another range comes": (DATA[:1000], ["shifted"], ["a:1000-", "a:"]),
    "starts again if its bytes were wrong": (b"x" * 1000, [], ["a:1000-", "a:"]),
    "starts again if it is too long": (DATA + b"x", [], ["a:4097-", "a:"]),
    "is taken if it was complete": (DATA, [], ["a:4096-"]),
    "ends with the connection if no length is told": (b"", ["lengthless"], ["a:"]),
}


class Answer(BaseHTTPRequestHandler):
    """Answers with one of the server's files, or with the fault which is next."""

    def do_GET(self):
        wanted = self.headers.get("Range", "bytes=").removeprefix("bytes=")
        self.server.asked.append(f"{self.path[1]}:{wanted}")
        kind, _, count = (self.server.faults.pop(0) if self.server.faults else "").partition(":")
        body = self.server.files.get(self.path, b"")
        start = int(wanted[:-1]) if wanted and kind != "whole" else 0
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
            self.server.go_on.wait(10)
            self.wfile.write(body[end:])

    def log_message(self, *args):
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Serves `files`; `faults` are those of the next answers, `asked` says "mirror:range" of each request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {"/a/data.bin": DATA, "/a/data.bin.gz": PACKED, "/b/data.bin": DATA}
        self.faults, self.asked, self.go_on = [], [], threading.Event()
        self.a, self.b, self.c = (f"http://127.0.0.1:{self.server_port}/{name}" for name in "abc")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,)).start()
        yield running
        running.go_on.set()
        running.shutdown()


def lay(root, name, content):
    folder = root / "SET" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def assert_only_the_file_stands(root, *others):
    assert (root / "SET/raw/data.bin").read_bytes() == DATA
    assert sorted(path.name for path in (root / "SET/raw").iterdir()) == ["data.bin", *others]


def test_the_md5_is_that_of_the_whole_file_however_many_chunks_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "CHUNK_BYTES", 2)
    assert md5_of(lay(tmp_path, "abc", b"abc")) == "900150983cd24fb0d6963f7d28e17f72"


def test_a_file_that_stands_there_is_found_without_lock_or_request(tmp_path, server, monkeypatch):
    monkeypatch.setattr(download, "FileLock", None)  # taking a lock would fail
    path = lay(tmp_path, "data.bin", DATA)
    assert find(PLAIN, tmp_path, [server.a]) == path
    assert server.asked == []
    assert_only_the_file_stands(tmp_path)


def test_a_file_with_another_content_is_refused_by_name_and_left_alone(tmp_path, server):
    path = lay(tmp_path, "data.bin", b"x")
    fault = f"{path} is not the published file: its MD5 is 9dd4e461268c8034f5c8564e155c67a6, expected {MD5}."
    with pytest.raises(UserError) as refusal:
        find(PLAIN, tmp_path, [server.a])
    assert str(refusal.value) == f"{fault}\nMove it elsewhere and run again to download the published file."
    assert path.read_bytes() == b"x"


def test_a_packed_file_that_lies_there_is_unpacked_and_kept(tmp_path):
    lay(tmp_path, "data.bin.gz", PACKED)
    assert find(ZIPPED, tmp_path, download=False) == tmp_path / "SET/raw/data.bin"
    assert_only_the_file_stands(tmp_path, "data.bin.gz")


@pytest.mark.parametrize(("content", "md5", "fault"), CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_packed_file_is_refused_by_name_and_unpacks_to_nothing(tmp_path, content, md5, fault):
    path = lay(tmp_path, "data.bin.gz", content)
    with pytest.raises(UserError, match=f"^{path} is {fault}.*\nMove it elsewhere and put the published file there"):
        find(DataFile(ZIPPED.path, "f" * 32, "data.bin.gz", md5), tmp_path)
    assert {found.suffix for found in path.parent.iterdir()} == {".gz", ".lock"}


@pytest.mark.parametrize("file", [PLAIN, ZIPPED], ids=["plain", "packed"])
def test_a_missing_file_is_downloaded_with_one_request_and_nothing_else_left(tmp_path, server, file):
    assert find(file, tmp_path, [server.a]) == tmp_path / "SET/raw/data.bin"
    assert server.asked == ["a:"]
    assert_only_the_file_stands(tmp_path)


@pytest.mark.parametrize(("left", "faults", "asked"), RESUMED.values(), ids=RESUMED)
def test_an_interrupted_download(tmp_path, server, monkeypatch, left, faults, asked):
    monkeypatch.setattr(download, "NETWORK_SECONDS", 0.3)
    lay(tmp_path, "data.bin.part", left)
    server.faults = list(faults)
    find(PLAIN, tmp_path, [server.a, server.b])
    assert server.asked == asked
    assert_only_the_file_stands(tmp_path)


def test_a_wrong_checksum_from_one_mirror_tries_the_next(tmp_path, server):
    server.files["/a/data.bin"] = b"x" * 4096
    find(PLAIN, tmp_path, [server.a, server.b])
    assert server.asked == ["a:", "b:"]
    assert_only_the_file_stands(tmp_path)


def test_a_file_no_mirror_gives_is_missed_with_each_reason_and_what_to_do(tmp_path, server):
    server.files["/a/data.bin"] = b"x"
    with pytest.raises(UserError) as error:
        find(PLAIN, tmp_path, [server.a, server.c, "http://127.0.0.1:1/d"])
    assert str(error.value) == (
        f"{tmp_path}/SET/raw/data.bin is missing, and no mirror gave it:\n"
        f"  {server.a}/data.bin: checksum differs\n"
        f"  {server.c}/data.bin: HTTP 404\n"
        "  http://127.0.0.1:1/d/data.bin: Connection refused\n"
        f"Expected MD5: {MD5}\n"
        "Put the file there, or point data.dir (or the environment variable TRAINER_DATA_DIR) at a folder "
        "which has SET/raw/data.bin."
    )


@pytest.mark.parametrize(("download", "why"), [(False, "data.download=false forbade"), (True, "no mirror is")])
def test_a_file_that_nobody_may_be_asked_for_leaves_the_root_untouched(tmp_path, server, download, why):
    with pytest.raises(UserError, match=f"^{tmp_path}/SET/raw/data.bin is missing, and {why}.*\nExpected MD5"):
        find(PLAIN, tmp_path, [] if download else [server.a], download)
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1:1", "file:///tmp", "data"])
def test_a_mirror_that_is_neither_http_nor_https_is_refused(tmp_path, mirror):
    with pytest.raises(UserError, match=f"SET/raw/data.bin must be http or https: {mirror}"):
        find(PLAIN, tmp_path, [mirror])


def test_a_root_that_cannot_be_written_is_named(tmp_path):
    root = lay(tmp_path, "a file", b"")
    with pytest.raises(UserError, match=f"^The data folder {root}/SET/raw cannot be used: .*Not a directory"):
        find(PLAIN, root, ["http://127.0.0.1:1"])


@pytest.mark.parametrize("at_terminal", [True, False])
def test_a_bar_shows_on_a_terminal_and_a_line_elsewhere(tmp_path, server, monkeypatch, caplog, at_terminal):
    screen = io.StringIO()
    screen.isatty = lambda: at_terminal
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with caplog.at_level(logging.INFO):
        find(PLAIN, tmp_path, [server.a])
    assert ("100%" in screen.getvalue()) == at_terminal
    assert caplog.messages == ([] if at_terminal else [f"downloading {server.a}/data.bin from byte 0"])


def test_two_processes_fetch_a_file_once_and_the_second_says_that_it_waits(tmp_path, server):
    server.faults = ["stall:0"]
    code = f"from trainer.data.io.download import *; find({PLAIN}, Path('{tmp_path}'), ['{server.a}'])"
    environment = os.environ | {"PYTHONPATH": str(Path(download.__file__).parents[3])}
    path, (reading, writing) = tmp_path / "SET/raw/data.bin", os.pipe()
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=writing) for _ in range(2)]
    os.close(writing)
    with open(reading) as lines:
        assert lines.readline() == f"waiting for another process which is fetching {path}\n"
        server.go_on.set()
        assert [process.wait(10) for process in both] == [0, 0]
        assert lines.read() == ""
    assert server.asked == ["a:"]
    assert_only_the_file_stands(tmp_path)
