"""Texts in terminals, CSV files and Markdown: without control characters, formulas and HTML."""

import io
import logging
import sys

import pytest

from trainer.core.errors import UserError
from trainer.core.escaping import LogFormatter, escape_control, escape_csv_cell, escape_markdown
from trainer.core.standard_streams import open_standard_streams


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é 日本 \t\n", "plain, é 日本 \t\n"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\rb\x07\x7f\x9b", r"a\rb\x07\x7f\x9b"),
        ("abc\u202edcba", r"abc\u202edcba"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\udce9"),
    ],
)
def test_control_characters_are_shown(text, shown):
    assert escape_control(text) == shown
    assert str(UserError(text)) == shown
    assert LogFormatter("%(message)s").format(logging.makeLogRecord({"msg": text})) == shown


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+2", "'+1+2"),
        ("-1-2", "'-1-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\\r=1"),
        (" =1", "' =1"),
        ("a\x1b[0m", r"a\x1b[0m"),
        ("-1.5", "-1.5"),
        ("+1,234.5e-3", "+1,234.5e-3"),
        ("-.5", "-.5"),
        ("-inf", "-inf"),
        ("--", "--"),
        ("a=b", "a=b"),
        ("+callbacks.x=1 seed=2 [code 1]", "+callbacks.x=1 seed=2 [code 1]"),
        ("++a=1", "++a=1"),
        ("+a=HYPERLINK(1)", "'+a=HYPERLINK(1)"),
        ("+a=1|x!A1", "'+a=1|x!A1"),
        ("", ""),
        (-1.5, -1.5),
        (None, None),
    ],
)
def test_formulas_are_texts(value, cell):
    assert escape_csv_cell(value) == cell


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<img src=x onerror=alert(1)>", r"\<img src=x onerror=alert(1)\>"),
        ("a\n\n# title", "a # title"),
        ("![x](http://host/a.png)", r"![x\](http://host/a.png)"),
        (r"\<b>", r"\\\<b\>"),
        ("hidden=[64,64]", "hidden=[64,64]"),
    ],
)
def test_markdown_contains_no_html_links_and_line_breaks(text, line):
    assert escape_markdown(text) == line


def test_a_stream_prints_characters_that_its_encoding_lacks(monkeypatch):
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, "ascii"))
    open_standard_streams()
    print("caf\udce9 é")
    sys.stdout.flush()
    assert content.getvalue() == b"caf\\udce9 \\xe9\n"
