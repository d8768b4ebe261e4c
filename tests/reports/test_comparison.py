"""Comparison of runs by groups over seeds, baseline, metric and output formats."""

import csv
import io
import json
import shutil

import pytest
import yaml

from trainer.core.errors import UserError
from trainer.reports.best_experiment import format_best_experiment
from trainer.reports.comparison import build_report
from trainer.reports.formats import format_best_run, format_csv, format_markdown, print_table


@pytest.fixture
def sweep(tmp_path):
    """Write a sweep over two rates and four seeds, with one failed run."""

    def write(number, lr, seed, accuracy, state="finished"):
        path = tmp_path / f"sweep/{number}"
        path.mkdir(parents=True)
        config = {"seed": seed, "data": {"seed": seed}, "optimizer": {"lr": lr}, "model": {"net": {"hidden": [8]}}}
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        overrides = ["model=mlp", f"optimizer.lr={lr}", f"seed={seed}"]
        (path / "provenance.json").write_text(json.dumps({"overrides": overrides, "directory": str(tmp_path)}))
        metrics = {"val/accuracy_best": accuracy, "test/accuracy": accuracy}
        (path / "result.json").write_text(json.dumps({"state": state, "metrics": metrics, "seconds": 2.0}))

    for number, (lr, seed) in enumerate((lr, seed) for lr in (0.1, 0.01) for seed in (1, 2, 3, 4)):
        write(number, lr, seed, 0.8 + 0.01 * seed + (0.05 + 0.001 * seed if lr == 0.01 else 0.0))
    write(8, 0.001, 1, 0.1, state="failed")
    return tmp_path / "sweep"


def test_runs_that_differ_only_in_the_seed_are_one_group(sweep):
    report = build_report(sweep)
    assert (report.metric, report.higher_is_better, report.baseline) == ("val/accuracy_best", True, "optimizer.lr=0.1")
    assert [(group.overrides, group.estimate.count) for group in report.groups] == [
        ("optimizer.lr=0.01", 4),
        ("optimizer.lr=0.1", 4),
    ]
    assert report.excluded_runs == {"failed": 1}
    best = report.groups[0]
    assert best.estimate.mean == pytest.approx(0.8775)
    assert best.comparison.mean == pytest.approx(0.0525)
    assert best.comparison.verdict(True) == "better"
    assert report.importances == {"optimizer.lr": pytest.approx(0.828, abs=0.01)}


def test_the_best_run_has_a_line_and_untested_differences_have_a_remark(sweep):
    report = build_report(sweep)
    assert format_best_run(report) == [f"best  {sweep}/7  val/accuracy_best 0.894  optimizer.lr=0.01"]
    assert len(report.significance_notes) == 1
    for number in (1, 2, 3, 5, 6, 7):
        shutil.rmtree(sweep / str(number))
    [note] = build_report(sweep).significance_notes
    assert "may be chance" in note
    assert "seed=1,2,3" in note


def test_another_baseline_inverts_the_verdict(sweep):
    report = build_report(sweep, "test/accuracy", "optimizer.lr=0.01")
    assert [group.comparison and group.comparison.verdict(True) for group in report.groups] == [None, "worse"]


def test_csv_has_all_digits_and_markdown_is_a_table(sweep):
    report = build_report(sweep)
    read = [*csv.DictReader(io.StringIO(format_csv(report)))]
    assert float(read[0]["val/accuracy_best mean"]) == report.groups[0].estimate.mean
    lines = format_markdown(report).splitlines()
    assert lines[0].startswith("| config | n | val/accuracy_best mean |")
    assert lines[2].startswith("| optimizer.lr=0.01 | 4 | 0.8775 |")
    assert "| optimizer.lr | 83% |" in lines


@pytest.mark.slow
def test_the_best_experiment_repeats_the_best_run(command, tmp_path):
    overrides = ["data=xor", "model.net.hidden=[4],[6]", "optimizer=sgd", "trainer.max_epochs=1", "hydra.sweep.dir=s"]
    assert command("-m", *overrides).code == 0
    report = build_report(tmp_path / "s")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/winner.yaml").write_text(format_best_experiment(report))
    outcome = command("experiment=winner", "hydra.run.dir=again")
    assert outcome.code == 0, outcome.err
    first, second = (
        json.loads((run / "result.json").read_text()) for run in (report.groups[0].runs[0].path, tmp_path / "again")
    )
    assert first["metrics"] == second["metrics"]
    assert first["fingerprint"] == second["fingerprint"]


def write_run(directory, number, overrides, metrics, config):
    """Write a finished run."""
    path = directory / str(number)
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump({"seed": 1, **config}))
    (path / "provenance.json").write_text(json.dumps({"overrides": overrides, "directory": str(directory)}))
    (path / "result.json").write_text(json.dumps({"state": "finished", "metrics": metrics, "seconds": 1.0}))


def test_runs_with_different_metrics_are_compared_by_one_that_all_have(tmp_path):
    xor, line, digits = ({"data": {"_target_": name}} for name in ("XOR", "Line", "Digits"))
    write_run(tmp_path, 0, ["data=xor"], {"train/loss": 1, "val/loss_best": 3.0, "val/loss": 3.5}, xor)
    write_run(tmp_path, 1, ["data=line"], {"train/loss": 1, "val/mae": 0.5, "val/loss": 2.5}, line)
    write_run(tmp_path, 2, ["data=digits"], {"val/accuracy": 0.9, "val/loss": 1.5, "val/accuracy_best": 0.9}, digits)
    report = build_report(tmp_path)
    assert report.metric == "val/loss"
    assert [group.overrides for group in report.groups] == ["data=digits", "data=line", "data=xor"]
    assert report.notes == ["not comparable by val/loss: the configs differ in data._target_"]
    assert report.notes[0] in format_markdown(report)
    assert f"# {report.notes[0]}\n" in format_best_experiment(report)


def test_runs_without_the_metric_are_noted(tmp_path):
    for number, name in enumerate(["val/loss_best", "val/loss_best", "val/accuracy_best"]):
        write_run(tmp_path, number, [f"optimizer.lr={number}"], {name: 0.5}, {"optimizer": {"lr": number}})
    report = build_report(tmp_path)
    assert report.metric == "val/loss_best"
    assert len(report.groups) == 2
    assert report.notes == ["left out: 1 finished run(s) without val/loss_best"]
    assert report.notes[0] in format_markdown(report)


def test_a_run_that_diverged_does_not_change_the_metric_of_the_others(tmp_path):
    for number, value in enumerate([0.5, 0.4, None]):
        metrics = {"val/accuracy": 0.5, "val/loss_best": value}
        write_run(tmp_path, number, [f"optimizer.lr={number}"], metrics, {"optimizer": {"lr": number}})
    report = build_report(tmp_path)
    assert report.metric == "val/loss_best"
    assert report.notes == ["left out: 1 finished run(s) without val/loss_best"]


def test_losses_of_different_objectives_are_not_comparable(tmp_path):
    for number, smoothing in enumerate([0.0, 0.1]):
        config = {"objective": {"label_smoothing": smoothing, "metrics": str(number)}}
        overrides = [f"objective.label_smoothing={smoothing}"]
        write_run(tmp_path, number, overrides, {"val/loss": smoothing, "val/accuracy": smoothing}, config)
    assert build_report(tmp_path).notes == [
        "not comparable by val/loss: the configs differ in objective.label_smoothing"
    ]
    assert build_report(tmp_path, "val/accuracy").notes == []


@pytest.mark.parametrize("name", ["val_loss", "valid_loss_epoch", "val/loss/dataloader_idx_0"])
def test_runs_are_compared_by_the_validation_metric_of_user_code(name, tmp_path):
    for number in (0, 1):
        write_run(
            tmp_path, number, [f"model.hidden={number}"], {"train_loss": 1, name: number}, {"model": {"hidden": number}}
        )
    report = build_report(tmp_path)
    assert (report.metric, report.higher_is_better) == (name, False)


def test_runs_without_validation_are_compared_by_a_given_metric(tmp_path):
    for number in (0, 1):
        write_run(tmp_path, number, [f"ckpt_path={number}"], {"test/loss": number}, {"ckpt_path": str(number)})
    with pytest.raises(UserError, match="metric: no run has a validation metric; expected one of test/loss"):
        build_report(tmp_path)
    assert build_report(tmp_path, "test/loss").metric == "test/loss"


def test_invalid_arguments_are_errors(sweep, tmp_path):
    with pytest.raises(UserError, match="no runs below"):
        build_report(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no finished run has 'test/acuracy'; did you mean 'test/accuracy'"):
        build_report(sweep, "test/acuracy")
    with pytest.raises(
        UserError, match=r"no group has 'optimizer.lr=9'; there are: optimizer.lr=0.1; optimizer.lr=0.01"
    ):
        build_report(sweep, baseline="optimizer.lr=9")


@pytest.mark.parametrize("columns", ["80", "90", "100"])
def test_words_of_configs_are_not_broken_in_a_narrow_terminal(sweep, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    print_table(build_report(sweep))
    output = capsys.readouterr().out
    assert "  optimizer.lr=0.01 " in output
    assert "  optimizer.lr=0.1 " in output
    assert max(map(len, output.splitlines())) <= int(columns)
    assert "\u2026" not in output  # an ellipsis


def test_each_config_is_one_line_in_a_pipe(sweep, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(build_report(sweep))
    [line] = [line for line in capsys.readouterr().out.splitlines() if "optimizer.lr=0.01 " in line]
    text = " ".join(line.split())
    assert text == "optimizer.lr=0.01 4 0.8775 ± 0.0142 0.8549 to 0.9001 +0.0525 ± 0.0021: better 2"


def test_a_list_of_seeds_of_a_foreign_data_module_is_compared(sweep):
    for file in sweep.glob("*/config.yaml"):
        config = yaml.safe_load(file.read_text())
        config["data"]["seed"] = [1, {"test": 2}]
        file.write_text(yaml.safe_dump(config))
        result = file.with_name("result.json")
        result.write_text(json.dumps(json.loads(result.read_text()) | {"data_sha256": "a"}))
    report = build_report(sweep)
    assert [group.estimate.count for group in report.groups] == [4, 4]
    assert report.groups[0].comparison.verdict(True) == "better"
