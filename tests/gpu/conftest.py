"""Fixture `gpu`, which simulates a GPU."""

import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("fake_gpu", Path(__file__).with_name("fake_gpu.py"))
fake_gpu = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fake_gpu)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Simulate a GPU; return the number of waits by code location."""
    with fake_gpu.fake_gpu(monkeypatch) as waits:
        yield waits
