"""Sparklines of metrics, and the live display in a real terminal."""

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

from trainer.callbacks.live_display import MetricCurve
from trainer.core.formatting import SPARKLINE_CHARS, format_sparkline


@pytest.mark.parametrize(("name", "best"), [("val/loss", 0), ("val/accuracy", 4999), ("val/obj", None)])
def test_a_long_curve_has_a_short_sparkline_and_a_best_value(name, best):
    curve = MetricCurve(name)
    for value in [math.nan, *range(5000), 0.5]:
        curve.update(float(value))
    assert curve.last == 0.5
    assert curve.best == best  # None if the direction of the metric is unknown
    assert len(format_sparkline(curve.points)) <= SPARKLINE_CHARS
    assert [*format_sparkline(curve.points)] == sorted(format_sparkline(curve.points))  # increasing
    assert {"▁", "█"} <= {*format_sparkline(curve.points)}


def test_a_curve_without_finite_values_has_an_empty_sparkline():
    curve = MetricCurve("val/loss")
    assert format_sparkline(curve.points) == ""
    curve.update(math.nan)
    curve.update(math.inf)
    assert format_sparkline(curve.points) == ""


def test_huge_values_do_not_overflow():
    curve = MetricCurve("val/loss")
    for _ in range(500):
        curve.update(sys.float_info.max)
    assert {*format_sparkline(curve.points)} == {"▁"}


@pytest.mark.slow  # starts two processes
def test_the_command_draws_in_a_terminal_and_prints_plain_lines_to_a_pipe(tmp_path):
    argv = [sys.executable, "-m", "trainer", "data=digits", "trainer.max_epochs=3", "test=false"]
    piped = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "\x1b" not in piped.stdout + piped.stderr
    assert "epoch 3/3  step" in piped.stdout
    main, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    output = b""
    with subprocess.Popen(argv, cwd=tmp_path, stdin=child, stdout=child, stderr=child, env=environment):
        os.close(child)
        with suppress(OSError):  # the terminal is closed when the process ends
            while chunk := os.read(main, 65536):
                output += chunk
    os.close(main)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())
    assert "\x1b[?25l" in output.decode()  # the cursor was hidden
    assert "\x1b[?25h" in output.decode()  # and shown again
    assert re.search(r"val/accuracy\s+0\.\d+\s+0\.\d+\s+[▁-█]+", text)
    assert "epoch 3/3  step" not in text
    assert max(len(line) for line in text.replace("\r", "\n").splitlines() if "steps/s" in line) <= 100
