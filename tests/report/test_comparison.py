"""Reports: runs grouped by config, seeds together, compared with a baseline; the best as a recipe that runs."""

import csv
import io
import json

import pytest
import yaml

from trainer.core.errors import UserError
from trainer.report.best_experiment import best_recipe
from trainer.report.comparison import report_of
from trainer.report.formats import as_csv, as_markdown


@pytest.fixture
def sweep(tmp_path):
    """A sweep over two rates and four seeds, with one run that failed."""

    def write(number, lr, seed, accuracy, state="finished"):
        path = tmp_path / f"sweep/{number}"
        path.mkdir(parents=True)
        config = {"seed": seed, "data": {"seed": seed}, "optimizer": {"lr": lr}, "model": {"net": {"hidden": [8]}}}
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        words = ["model=mlp", f"optimizer.lr={lr}", f"seed={seed}"]
        (path / "provenance.json").write_text(json.dumps({"overrides": words, "directory": str(tmp_path)}))
        metrics = {"val/accuracy_best": accuracy, "test/accuracy": accuracy}
        (path / "result.json").write_text(json.dumps({"state": state, "metrics": metrics, "seconds": 2.0}))

    for number, (lr, seed) in enumerate((lr, seed) for lr in (0.1, 0.01) for seed in (1, 2, 3, 4)):
        write(number, lr, seed, 0.8 + 0.01 * seed + (0.05 + 0.001 * seed if lr == 0.01 else 0.0))
    write(8, 0.001, 1, 0.1, state="failed")
    return tmp_path / "sweep"


def test_runs_that_differ_in_the_seed_alone_are_one_group(sweep):
    report = report_of(sweep)
    assert (report.metric, report.higher, report.baseline) == ("val/accuracy_best", True, "optimizer.lr=0.1")
    assert [(group.words, group.estimate.count) for group in report.groups] == [
        ("optimizer.lr=0.01", 4),
        ("optimizer.lr=0.1", 4),
    ]
    assert report.left_out == {"failed": 1}
    best = report.groups[0]
    assert best.estimate.mean == pytest.approx(0.8775)
    assert best.against.mean == pytest.approx(0.0525)
    assert best.against.verdict(True) == "better"
    assert report.importances == {"optimizer.lr": pytest.approx(0.828, abs=0.01)}


def test_another_baseline_turns_the_verdict_round(sweep):
    report = report_of(sweep, "test/accuracy", "optimizer.lr=0.01")
    assert [group.against and group.against.verdict(True) for group in report.groups] == [None, "worse"]


def test_csv_has_all_digits_and_markdown_is_a_table(sweep):
    report = report_of(sweep)
    read = [*csv.DictReader(io.StringIO(as_csv(report)))]
    assert float(read[0]["val/accuracy_best mean"]) == report.groups[0].estimate.mean
    lines = as_markdown(report).splitlines()
    assert lines[0].startswith("| config | n | val/accuracy_best mean |")
    assert lines[2].startswith("| optimizer.lr=0.01 | 4 | 0.8775 |")
    assert "| optimizer.lr | 83% |" in lines


def test_the_best_is_a_recipe_that_runs(command, tmp_path):
    words = ["data=xor", "model.net.hidden=[4],[6]", "optimizer=sgd", "trainer.max_epochs=1", "hydra.sweep.dir=s"]
    assert command("-m", *words).code == 0
    report = report_of(tmp_path / "s")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/winner.yaml").write_text(best_recipe(report))
    outcome = command("experiment=winner", "hydra.run.dir=again")
    assert outcome.code == 0, outcome.err
    first, again = (
        json.loads((run / "result.json").read_text()) for run in (report.groups[0].runs[0].path, tmp_path / "again")
    )
    assert first["metrics"] == again["metrics"]
    assert first["fingerprint"] == again["fingerprint"]


def written(folder, number, words, metrics, config):
    """A finished run."""
    path = folder / str(number)
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump({"seed": 1, **config}))
    (path / "provenance.json").write_text(json.dumps({"overrides": words, "directory": str(folder)}))
    (path / "result.json").write_text(json.dumps({"state": "finished", "metrics": metrics, "seconds": 1.0}))


def test_runs_with_different_metrics_are_compared_by_one_that_all_have(tmp_path):
    xor, line, digits = ({"data": {"_target_": name}} for name in ("XOR", "Line", "Digits"))
    written(tmp_path, 0, ["data=xor"], {"train/loss": 1, "val/loss_best": 3.0, "val/loss": 3.5}, xor)
    written(tmp_path, 1, ["data=line"], {"train/loss": 1, "val/mae": 0.5, "val/loss": 2.5}, line)
    written(tmp_path, 2, ["data=digits"], {"val/accuracy": 0.9, "val/loss": 1.5, "val/accuracy_best": 0.9}, digits)
    report = report_of(tmp_path)
    assert report.metric == "val/loss"
    assert [group.words for group in report.groups] == ["data=digits", "data=line", "data=xor"]
    assert report.notes == ["not comparable by val/loss: the configs differ in data._target_"]
    assert report.notes[0] in as_markdown(report)
    assert f"# {report.notes[0]}\n" in best_recipe(report)


def test_runs_without_the_metric_are_told(tmp_path):
    for number, name in enumerate(["val/loss_best", "val/loss_best", "val/accuracy_best"]):
        written(tmp_path, number, [f"optimizer.lr={number}"], {name: 0.5}, {"optimizer": {"lr": number}})
    report = report_of(tmp_path)
    assert report.metric == "val/loss_best"
    assert len(report.groups) == 2
    assert report.notes == ["left out: 1 finished run(s) without val/loss_best"]
    assert report.notes[0] in as_markdown(report)


def test_a_run_that_diverged_does_not_change_the_metric_of_the_others(tmp_path):
    for number, value in enumerate([0.5, 0.4, None]):
        metrics = {"val/accuracy": 0.5, "val/loss_best": value}
        written(tmp_path, number, [f"optimizer.lr={number}"], metrics, {"optimizer": {"lr": number}})
    report = report_of(tmp_path)
    assert report.metric == "val/loss_best"
    assert report.notes == ["left out: 1 finished run(s) without val/loss_best"]


def test_losses_of_different_objectives_are_not_comparable(tmp_path):
    for number, smoothing in enumerate([0.0, 0.1]):
        config = {"objective": {"label_smoothing": smoothing, "metrics": str(number)}}
        words = [f"objective.label_smoothing={smoothing}"]
        written(tmp_path, number, words, {"val/loss": smoothing, "val/accuracy": smoothing}, config)
    assert report_of(tmp_path).notes == ["not comparable by val/loss: the configs differ in objective.label_smoothing"]
    assert report_of(tmp_path, "val/accuracy").notes == []


def test_runs_that_were_only_tested_are_compared_by_a_metric_that_is_named(tmp_path):
    for number in (0, 1):
        written(tmp_path, number, [f"ckpt_path={number}"], {"test/loss": number}, {"ckpt_path": str(number)})
    with pytest.raises(UserError, match="metric: no run has a metric of the validation; choose one of test/loss"):
        report_of(tmp_path)
    assert report_of(tmp_path, "test/loss").metric == "test/loss"


def test_mistakes_are_told(sweep, tmp_path):
    with pytest.raises(UserError, match="no runs below"):
        report_of(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no finished run has 'test/acuracy'; did you mean 'test/accuracy'"):
        report_of(sweep, "test/acuracy")
    with pytest.raises(
        UserError, match=r"no group has 'optimizer.lr=9'; there are: optimizer.lr=0.1; optimizer.lr=0.01"
    ):
        report_of(sweep, baseline="optimizer.lr=9")
