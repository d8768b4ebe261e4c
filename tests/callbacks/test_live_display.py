"""The live view: courses of metrics in few characters, in a real terminal, and nothing of it in a pipe."""

import fcntl
import math
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest

from trainer.callbacks.live_display import WIDTH, Curve


@pytest.mark.parametrize(("name", "best"), [("val/loss", 0), ("val/accuracy", 4999), ("val/obj", None)])
def test_a_long_course_is_short_and_knows_its_best(name, best):
    curve = Curve(name)
    for value in [math.nan, *range(5000), 0.5]:
        curve.note(float(value))
    assert curve.now == 0.5
    assert curve.best == best  # none where it is unknown whether small or large values are good
    assert len(curve.sparkline) <= WIDTH
    assert [*curve.sparkline] == sorted(curve.sparkline)  # it rose
    assert {"▁", "█"} <= {*curve.sparkline}


def test_a_course_without_a_number_is_drawn_as_nothing():
    curve = Curve("val/loss")
    assert curve.sparkline == ""
    curve.note(math.nan)
    curve.note(math.inf)
    assert curve.sparkline == ""


@pytest.mark.slow  # starts two processes
def test_the_command_draws_in_a_terminal_and_writes_plain_lines_into_a_pipe(tmp_path):
    words = [sys.executable, "-m", "trainer", "data=digits", "trainer.max_epochs=3", "test=false"]
    piped = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "\x1b" not in piped.stdout + piped.stderr
    assert "epoch 3/3  step" in piped.stdout
    main, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    drawn = b""
    with subprocess.Popen(words, cwd=tmp_path, stdin=child, stdout=child, stderr=child, env=environment):
        os.close(child)
        with suppress(OSError):  # the terminal is closed when the process ends
            while part := os.read(main, 65536):
                drawn += part
    os.close(main)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())
    assert "\x1b[?25l" in drawn.decode()  # the cursor was hidden
    assert "\x1b[?25h" in drawn.decode()  # and shown again
    assert re.search(r"val/accuracy\s+0\.\d+\s+0\.\d+\s+[▁-█]+", text)
    assert "epoch 3/3  step" not in text
    assert max(len(line) for line in text.replace("\r", "\n").splitlines() if "steps/s" in line) <= 100
