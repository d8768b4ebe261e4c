"""Tests of `trainer check`: table of errors, JSON and exit status."""

import json

import pytest


def test_a_valid_config_prints_one_line_and_writes_nothing(command, tmp_path):
    outcome = command("check", "data=mnist", "model=cnn", "data.mirrors=[http://127.0.0.1:9/]")
    assert outcome.code == 0
    assert outcome.out.startswith("1 run: no errors; a step of CNN, ")
    assert " parameters" in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_errors_are_printed_with_key_location_and_suggestion(command):
    outcome = command("check", "modle=cnn", "optimizer.lr=x")
    assert outcome.code == 1
    for part in ("modle", "no such key", "'model'?", "optimizer.lr=x", "'x' is not float", "2 error(s)"):
        assert part in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def test_json_contains_key_file_line_problem_and_suggestion(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/mine.yaml").write_text("model:\n  net:\n    hiden: [3]\n")
    outcome = command("check", "experiment=mine", "seed=x", "--json")
    assert outcome.code == 1
    report = json.loads(outcome.out)
    assert (report["ok"], report["jobs"], report["checked"]) == (False, 1, 1)
    by_key = {item["key"]: item for item in report["diagnostics"]}
    diagnostic = by_key["model.net.hiden"]
    assert (diagnostic["file"], diagnostic["line"], diagnostic["override"]) == ("experiments/mine.yaml", 3, None)
    assert diagnostic["suggestion"] == "did you mean 'hidden'?"
    assert (by_key["seed"]["override"], by_key["seed"]["file"], by_key["seed"]["severity"]) == ("seed=x", None, "error")


def test_a_warning_does_not_refuse_a_run(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    outcome = command("check", "scheduler=step", "scheduler.every_n_epochs=99")
    assert outcome.code == 0
    assert "warning: in 10 epochs the learning rate never changes" in outcome.out


def test_a_sweep_with_an_invalid_job_does_not_start(command, tmp_path):
    outcome = command("-m", "model=mlp,cnn", "data=digits,xor", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert "model 'cnn' needs images" in outcome.err
    assert "(job 3)" in outcome.err
    assert not (tmp_path / "outputs").exists()


def test_a_warning_is_printed_when_a_run_starts(command):
    outcome = command("data=xor", "trainer.max_epochs=1", "scheduler=step")
    assert outcome.code == 0
    assert (
        "warning: scheduler.every_n_epochs: in 1 epochs the learning rate never changes; expected below 1"
        in outcome.out + outcome.err
    )


UNTRUSTED = {
    "in one run": ["model.net._target_=mine.Net"],
    "in one job of a sweep": ["-m", "model.net._target_=trainer.model.mlp.MLP,mine.Net"],
    "in the sampler of a search": [
        *("-m", "optimizer.lr=interval(0.1,1)", "sweep.n_trials=2", "optimized_metric=val/loss"),
        "sweep.sampler={_target_: mine.Net}",
    ],
    "behind an interpolation": ["+tags=[mine.Net]", "model.net._target_=${tags[0]}"],
}


@pytest.mark.parametrize("overrides", UNTRUSTED.values(), ids=UNTRUSTED)
def test_untrusted_code_is_refused_before_it_is_imported(overrides, command, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("import pathlib\n\npathlib.Path('imported').touch()\nNet = None\n")
    monkeypatch.delenv("TRAINER_TRUST", raising=False)
    outcome = command("check", "data=xor", *overrides, "--trusted-only", "--json")
    diagnostics = [item["problem"] for item in json.loads(outcome.out)["diagnostics"]]
    assert (outcome.code, diagnostics) == (1, ["mine.Net: package is not declared as trusted"])
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize("target", ["mine.Net", "trainer.model.mlp.MLP"])
def test_trusted_code_is_built(target, command, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("from trainer.model.mlp import MLP\n\n\nclass Net(MLP):\n    pass\n")
    monkeypatch.setenv("TRAINER_TRUST", "mine")
    outcome = command("check", "data=xor", f"model.net._target_={target}", "--trusted-only")
    assert outcome.code == 0, outcome.out
