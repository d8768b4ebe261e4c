"""Memory that was freed is kept for the next step, unless the user has a say in it."""

import subprocess
import sys

import pytest

# three pieces of 20 MB, made, written and freed: the pages fetched anew from the third time on
PAGES = """
import resource
from trainer.memory import keep_freed_memory

{keep}

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pieces = [bytearray(b"1") * 20_000_000 for _ in range(3)]
    del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print([pages() for _ in range(6)][2:])
"""


def pages(keep, monkeypatch, **environment):
    """How many pages of 4 KiB a process fetches each time."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = subprocess.run([sys.executable, "-c", PAGES.format(keep=keep)], capture_output=True, text=True, check=True)
    return [int(count) for count in ended.stdout.strip("[]\n").split(", ")]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_memory_that_a_step_gave_back_is_not_fetched_anew(monkeypatch):
    assert max(pages("keep_freed_memory()", monkeypatch)) < 500
    assert min(pages("", monkeypatch)) > 5_000  # of 15,000: without it much is


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
@pytest.mark.parametrize(
    "setting", [{"MALLOC_TOP_PAD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.top_pad=131072"}], ids=str
)
def test_settings_of_the_user_stay(setting, monkeypatch):
    assert min(pages("keep_freed_memory()", monkeypatch, **setting)) > 5_000


def test_other_systems_are_left_alone(monkeypatch):
    from trainer import memory

    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("a library was asked for"))
    memory.keep_freed_memory()
