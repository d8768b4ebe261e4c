"""Cache of the inspections of large files."""

import pytest

from trainer.data.tabular import inspection_cache
from trainer.data.tabular.inspection import InspectionSettings, inspect_file
from trainer.data.tabular.inspection_cache import inspect_with_cache

SETTINGS = InspectionSettings(targets=("city",), missing=("", "?"))
TEXT = "when,size,price,kind,city\n" + "".join(
    f"2024-01-{n:02},{n},{'?' if n == 7 else n / 2},{'ab'[n % 2]},{'xyz'[n % 3]}\n" for n in range(1, 29)
)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(inspection_cache, "MIN_CACHED_BYTES", 0)
    (tmp_path / "a.csv").write_text(TEXT)
    return tmp_path / "a.csv"


def test_a_cached_inspection_is_equal(file, tmp_path, monkeypatch):
    expected = inspect_file(file, SETTINGS)
    assert inspect_with_cache(file, SETTINGS, tmp_path / "cache") == expected
    inspection_cache._inspect.cache_clear()  # so that the file is read
    monkeypatch.setattr(inspection_cache, "inspect_file", None)  # not called
    assert inspect_with_cache(file, SETTINGS, tmp_path / "cache") == expected


def test_another_content_or_setting_is_inspected_again(file, tmp_path):
    inspect_with_cache(file, SETTINGS, tmp_path / "cache")
    dropped = InspectionSettings(targets=("city",), missing=("", "?"), drop=("size",))
    assert len(inspect_with_cache(file, dropped, tmp_path / "cache").inputs) == 3
    file.write_text(TEXT + "2024-02-01,1,2,a,w\n")
    assert "w" in inspect_with_cache(file, SETTINGS, tmp_path / "cache").labels
    assert len([*(tmp_path / "cache").iterdir()]) == 3
