"""The fixture `gpu`: a test runs on a GPU that is pretended."""

import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("pretended", Path(__file__).with_name("pretended.py"))
pretended = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pretended)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Who had to wait for it."""
    with pretended.pretended_gpu(monkeypatch) as waits:
        yield waits
