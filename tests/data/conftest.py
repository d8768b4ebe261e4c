"""Fixtures of the tests of data sets."""

import pytest


@pytest.fixture
def make_files(tmp_path):
    """Return a function that creates empty files and returns their directory."""

    def make(*files):
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        return tmp_path

    return make
