"""Records: what run directories tell, and in what two of them differ."""

import json

import pytest
import yaml

from trainer.artifacts.run_diff import causes
from trainer.artifacts.run_record import Record, flat, record_of, records
from trainer.core.errors import UserError


@pytest.fixture
def made(tmp_path):
    """Makes a run directory without running."""

    def make(name, *, result=None, packages=None, git=None, diff="", machine=None, **config):
        path = tmp_path / name
        path.mkdir(parents=True)
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        facts = {"overrides": ["seed=1"], "packages": packages or {}, "git": git or [], "machine": machine or {}}
        (path / "provenance.json").write_text(json.dumps({"trainer": "0.1.0", "python": "3.11", **facts}))
        if result is not None:
            (path / "result.json").write_text(json.dumps(result))
        if diff:
            (path / "code.diff").write_text(diff)
        return Record(path)

    return make


def test_a_run_without_a_result_that_nobody_is_at_was_killed(made):
    assert made("a", seed=1).state == "killed"
    assert made("b", seed=1, result={"state": "failed", "metrics": {}}).state == "failed"


def test_a_metric_that_was_no_number_is_left_out(made):
    assert made("a", result={"metrics": {"val/loss": None, "test/loss": 0.5}}).metrics == {"test/loss": 0.5}


def test_the_jobs_of_a_sweep_come_in_the_order_of_their_numbers(made, tmp_path):
    for number in (10, 9, 0):
        made(f"sweep/{number}", seed=number)
    assert [record.path.name for record in records(tmp_path)] == ["0", "9", "10"]


def test_what_is_no_run_says_which_runs_are_in_it(made, tmp_path):
    made("sweep/0", seed=1)
    with pytest.raises(UserError, match=r"is no run directory: it has no config.yaml; in it there are runs: .*sweep/0"):
        record_of(str(tmp_path / "sweep"))


def test_values_are_told_by_dotted_key():
    assert flat({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}]}


def test_each_difference_stands_under_its_cause(made):
    first = made(
        "a", seed=1, data={"dir": "x"}, result={"data_sha256": "1"}, packages={"torch": "2.11"}, machine={"cores": 2}
    )
    second = made(
        "b",
        seed=2,
        data={"dir": "y"},
        result={"data_sha256": "2"},
        packages={"torch": "2.15"},
        machine={"cores": 4},
        git=[{"root": "/r", "commit": "abc"}],
        diff="+ 1",
    )
    found = causes(first, second)
    assert found["config"] == {"seed": (1, 2)}  # where data lie is no difference
    assert found["data"] == {"data_sha256": ("1", "2")}
    assert found["environment"] == {"torch": ("2.11", "2.15")}
    assert found["hardware"] == {"cores": (2, 4)}
    assert {*found["code"]} == {"commit 0", "uncommitted changes"}
    assert causes(first, first) == {}


@pytest.mark.parametrize(
    ("resumed", "code"),
    [
        ([], {"a.py": "1", "late.py": "1"}),
        ([{"code": {"a.py": "1"}}], {"a.py": "1", "late.py": "1"}),  # killed before it imported the other file
        ([{"code": {"a.py": "2"}, "code_version": 2}], {"a.py": "2"}),  # the other file is gone, and that was accepted
    ],
)
def test_the_code_of_a_run_is_that_of_its_last_version(resumed, code, tmp_path):
    facts = {"code": {"a.py": "1", "late.py": "1"}, "resumed": resumed}
    (tmp_path / "provenance.json").write_text(json.dumps(facts))
    assert Record(tmp_path).code == code
