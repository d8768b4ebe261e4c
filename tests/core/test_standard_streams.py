"""Tests of closed standard streams."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from trainer.core.standard_streams import open_standard_streams
open_standard_streams()
print("error", sys.stdin.read(), file=sys.stderr, flush=True)
print("output", flush=True)
os.system("echo child; echo child >&2")
sys.exit(os.open(os.devnull, os.O_RDONLY) < 3 or not all(map(os.get_inheritable, range(3))))
"""


@pytest.mark.parametrize(
    ("closed", "output", "error"),
    [
        ("</dev/null", "output\nchild\n", "error \nchild\n"),
        ("<&-", "output\nchild\n", "error \nchild\n"),
        ("</dev/null >&-", "", "error \nchild\n"),
        ("</dev/null 2>&-", "output\nchild\n", ""),
        ("<&- >&- 2>&-", "", ""),
    ],
)
def test_closed_streams_are_replaced_by_the_null_device(closed, output, error):
    command = ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, SCRIPT]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, output, error)
