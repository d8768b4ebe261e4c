"""Run directories are read, searched and compared."""

import json

import pytest
import yaml

from trainer.artifacts.run_diff import diff_runs
from trainer.artifacts.run_record import RunRecord, find_runs, read_run
from trainer.core.errors import UserError
from trainer.core.mappings import flatten


@pytest.fixture
def make(tmp_path):
    """Return a function that creates a run directory."""

    def make_run(name, *, result=None, packages=None, git=None, diff="", machine=None, **config):
        path = tmp_path / name
        path.mkdir(parents=True)
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        provenance = {"overrides": ["seed=1"], "packages": packages or {}, "git": git or [], "machine": machine or {}}
        (path / "provenance.json").write_text(json.dumps({"trainer": "0.1.0", "python": "3.11", **provenance}))
        if result is not None:
            (path / "result.json").write_text(json.dumps(result))
        if diff:
            (path / "code.diff").write_text(diff)
        return RunRecord(path)

    return make_run


def test_an_unlocked_run_without_a_result_was_killed(make):
    assert make("a", seed=1).state == "killed"
    assert make("b", seed=1, result={"state": "failed", "metrics": {}}).state == "failed"


def test_nonfinite_metrics_are_omitted(make):
    assert make("a", result={"state": "finished", "metrics": {"val/loss": None, "test/loss": 0.5}}).metrics == {
        "test/loss": 0.5
    }


def test_jobs_of_a_sweep_are_sorted_by_number(make, tmp_path):
    for number in (10, 9, 0):
        make(f"sweep/{number}", seed=number)
    assert [record.path.name for record in find_runs(tmp_path)] == ["0", "9", "10"]


def test_the_error_for_a_directory_lists_the_runs_in_it(make, tmp_path):
    make("sweep/0", seed=1)
    with pytest.raises(UserError, match=r"is not a run directory: it has no config.yaml; runs in it: .*sweep/0"):
        read_run(str(tmp_path / "sweep"))


def test_values_are_flattened_to_dotted_keys():
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}]}


def test_differences_are_grouped_by_category(make):
    first = make(
        "a",
        seed=1,
        data={"dir": "x"},
        result={"state": "finished", "data_sha256": "1"},
        packages={"torch": "2.11"},
        machine={"cores": 2},
    )
    second = make(
        "b",
        seed=2,
        data={"dir": "y"},
        result={"state": "finished", "data_sha256": "2"},
        packages={"torch": "2.15"},
        machine={"cores": 4},
        git=[{"root": "/r", "commit": "abc"}],
        diff="+ 1",
    )
    differences = diff_runs(first, second)
    assert differences["config"] == {"seed": (1, 2)}  # data directories are ignored
    assert differences["data"] == {"data_sha256": ("1", "2")}
    assert differences["environment"] == {"torch": ("2.11", "2.15")}
    assert differences["hardware"] == {"cores": (2, 4)}
    assert {*differences["code"]} == {"commit 0", "uncommitted changes"}
    assert diff_runs(first, first) == {}


@pytest.mark.parametrize(
    ("resumed", "code"),
    [
        ([], {"a.py": "1", "late.py": "1"}),
        ([{"code": {"a.py": "1"}}], {"a.py": "1", "late.py": "1"}),  # killed before it imported the other file
        ([{"code": {"a.py": "2"}, "code_version": 2}], {"a.py": "2"}),  # the other file is gone, and that was accepted
    ],
)
def test_the_code_of_a_run_is_that_of_its_last_version(resumed, code, tmp_path):
    provenance = {"code": {"a.py": "1", "late.py": "1"}, "resumed": resumed}
    (tmp_path / "provenance.json").write_text(json.dumps(provenance))
    assert RunRecord(tmp_path).code == code
