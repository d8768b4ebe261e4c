"""`trainer check`: a table of mistakes, JSON, exit status; nothing is written, no data are opened."""

import json


def test_what_is_right_is_told_in_one_line_and_nothing_is_written(command, tmp_path):
    outcome = command("check", "data=mnist", "model=cnn", "data.mirrors=[http://127.0.0.1:9/]")
    assert outcome.code == 0
    assert outcome.out.startswith("1 run: no mistakes; a step of CNN, ")
    assert " parameters" in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_mistakes_stand_in_a_table_with_key_place_and_what_would_be_right(command):
    outcome = command("check", "modle=cnn", "optimizer.lr=x")
    assert outcome.code == 1
    for part in ("modle", "no such key", "'model'?", "optimizer.lr=x", "'x' is not float", "2 mistake(s)"):
        assert part in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def test_json_has_key_file_line_problem_and_offer(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/mine.yaml").write_text("model:\n  net:\n    hiden: [3]\n")
    outcome = command("check", "experiment=mine", "seed=x", "--json")
    assert outcome.code == 1
    told = json.loads(outcome.out)
    assert (told["ok"], told["jobs"], told["checked"]) == (False, 1, 1)
    by_key = {each["key"]: each for each in told["mistakes"]}
    own = by_key["model.net.hiden"]
    assert (own["file"], own["line"], own["typed"]) == ("experiments/mine.yaml", 3, None)
    assert own["instead"] == "did you mean 'hidden'?"
    assert (by_key["seed"]["typed"], by_key["seed"]["file"], by_key["seed"]["stops"]) == ("seed=x", None, True)


def test_a_warning_refuses_nothing(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    outcome = command("check", "scheduler=step", "scheduler.every_epochs=99")
    assert outcome.code == 0
    assert "warning: in 10 epochs the rate never changes" in outcome.out


def test_a_sweep_with_one_wrong_job_does_not_begin(command, tmp_path):
    outcome = command("-m", "model=mlp,cnn", "data=digits,xor", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert "model 'cnn' needs images" in outcome.err
    assert "(job 3)" in outcome.err
    assert not (tmp_path / "outputs").exists()


def test_a_warning_is_told_when_a_run_begins_too(command):
    outcome = command("data=xor", "trainer.max_epochs=1", "scheduler=step")
    assert outcome.code == 0
    assert "warning: scheduler.every_epochs: in 1 epochs the rate never changes; below 1" in outcome.out + outcome.err
