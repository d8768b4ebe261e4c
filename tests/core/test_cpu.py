"""Number of cores with CPU affinity and with quotas of control groups."""

import os

import pytest

from trainer.core import control_groups, cpu
from trainer.core.control_groups import read_cpu_limits, read_memory_limits
from trainer.core.cpu import count_cpus


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Simulate 8 cores, and return a function that writes the files of control groups."""
    monkeypatch.setattr(cpu, "_count_cores", lambda: 8)
    monkeypatch.setattr(control_groups, "CONTROL_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(control_groups, "MEMBERSHIP", tmp_path / "membership")

    def write(membership, **files):
        (tmp_path / "membership").write_text(membership)
        for path, text in files.items():
            file = tmp_path / "groups" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")

    return write


def test_without_control_groups_all_cores_are_counted(groups):
    assert (count_cpus(), read_cpu_limits(), read_memory_limits()) == (8, [], [])


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("1600000 100000", 8)],
)
def test_the_quota_of_version_2_limits_the_cores_and_is_rounded_up(quota, cores, groups):
    groups("0::/\n", **{"cpu.max": quota})
    assert count_cpus() == cores


def test_the_lowest_quota_of_a_group_and_its_parents_counts(groups):
    files = {"cpu.max": "max 100000", "slice/cpu.max": "300000 100000", "slice/job/cpu.max": "500000 100000"}
    groups("0::/slice/job\n", **files, **{"other/cpu.max": "100000 100000"})
    assert count_cpus() == 3
    assert read_cpu_limits() == [5.0, 3.0]


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("250000", 3)])
def test_the_quota_of_version_1_limits_the_cores(quota, cores, groups):
    files = {"cpu/docker/1/cpu.cfs_quota_us": quota, "cpu/docker/1/cpu.cfs_period_us": "100000"}
    groups("4:memory:/docker/1\n1:cpu,cpuacct:/docker/1\n", **files)
    assert count_cpus() == cores


def test_a_container_that_sees_only_its_own_group_has_its_limits(groups):
    files = {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}
    groups("4:memory:/docker/1\n1:cpu:/docker/1\n", **files, **{"memory/memory.limit_in_bytes": "1000"})
    assert (count_cpus(), read_memory_limits()) == (2, [1000])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_cores_that_the_affinity_excludes_are_not_counted():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert count_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)
