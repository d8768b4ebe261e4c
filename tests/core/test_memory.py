"""Available memory."""

from trainer.core import control_groups, memory
from trainer.core.memory import available_memory_bytes


def test_the_available_memory_is_that_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(control_groups, "CONTROL_GROUPS", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:   2048 kB\n")
    assert available_memory_bytes() == 2**21


def test_the_limit_of_a_container_is_respected(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(control_groups, "CONTROL_GROUPS", tmp_path)
    (tmp_path / "meminfo").write_text("MemAvailable:   2048 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory_bytes() == 2**21
    (tmp_path / "memory.max").write_text("1000\n")
    assert available_memory_bytes() == 1000


def test_without_a_report_of_the_system_half_of_its_memory_is_assumed(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMORY_INFO", tmp_path / "none")
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}.__getitem__, raising=False)
    assert available_memory_bytes() == 20480
