"""Tests of `trainer sweep report` and of the report at the end of a sweep."""

import json
import re

import pytest


@pytest.mark.slow
def test_a_sweep_writes_its_report_and_the_command_prints_it(command, tmp_path):
    overrides = ["data=xor", "trainer.max_epochs=1", "optimizer.lr=0.1,0.01", "seed=1,2", "hydra.sweep.dir=s"]
    outcome = command("-m", *overrides)
    assert outcome.code == 0, outcome.err
    files = {name: (tmp_path / "s" / name).read_text() for name in ("report.md", "report.csv", "best.yaml")}
    assert "s a run" in outcome.out
    printed = command("sweep", "report", "s", "--baseline=optimizer.lr=0.01")
    assert printed.code == 0, printed.err
    markdown = command("sweep", "report", "s", "--baseline=optimizer.lr=0.01", "--markdown").out
    assert "| optimizer.lr=0.01 | 2 |" in markdown
    assert markdown.count("| baseline |") == 1
    assert "written, by val/loss_best: s/report.md, s/report.csv, s/best.yaml" in printed.out
    [best] = re.findall(r"best  s/(\d)  val/loss_best (\S+)  optimizer.lr=", printed.out)
    losses = [
        json.loads((tmp_path / f"s/{job}/result.json").read_text())["metrics"]["val/loss_best"] for job in range(4)
    ]
    assert float(best[1]) == pytest.approx(losses[int(best[0])], rel=1e-3)
    assert f"best  s/{best[0]}  val/loss_best {best[1]}" in outcome.out
    assert "chance" not in printed.out
    assert files["best.yaml"].startswith("# The best of 2 configs by val/loss_best: ")
    assert command("sweep", "report", "s", "--csv").out == files["report.csv"]
    lowest = command("sweep", "report", "s", "--csv", "--direction=max").out
    order = [[line.split(",")[0] for line in text.splitlines()[1:]] for text in (lowest, files["report.csv"])]
    assert order[0] == order[1][::-1]


@pytest.mark.slow
def test_a_sweep_over_experiments_writes_a_table_of_all_experiments(command, tmp_path):
    overrides = ["experiment=xor_mlp,line_linear", "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1"]
    outcome = command("-m", *overrides)
    assert outcome.code == 0, outcome.err
    [csv] = tmp_path.glob("outputs/multirun/*/report.csv")
    losses = [json.loads((csv.parent / f"{job}/result.json").read_text())["metrics"]["val/loss"] for job in (0, 1)]
    assert losses[0] < losses[1]
    rows = [line.split(",")[:3] for line in csv.read_text().splitlines()]
    assert rows[0] == ["config", "n", "val/loss mean"]
    assert rows[1:] == [["experiment=xor_mlp", "1", str(losses[0])], ["experiment=line_linear", "1", str(losses[1])]]
    assert "not comparable by val/loss: the configs differ in data._target_" in outcome.out


@pytest.mark.slow
def test_the_sweep_of_the_readme_reports_all_six_jobs_and_names_the_best_config(command, tmp_path):
    outcome = command("-m", "model=linear,mlp,cnn", "seed=1,2", "trainer.max_epochs=2")
    assert outcome.code == 0, outcome.err
    assert "6 jobs: 6 done" in outcome.out
    [csv] = tmp_path.glob("outputs/digits_multirun/*/report.csv")
    results = [json.loads((csv.parent / f"{job}/result.json").read_text()) for job in range(6)]
    losses = [result["metrics"]["val/loss_best"] for result in results]
    means = {model: sum(losses[2 * index : 2 * index + 2]) / 2 for index, model in enumerate(["linear", "mlp", "cnn"])}
    order = sorted(means, key=means.__getitem__)
    rows = [line.split(",")[:3] for line in csv.read_text().splitlines()[1:]]
    assert [row[:2] for row in rows] == [[f"model={model}", "2"] for model in order]
    assert [float(row[2]) for row in rows] == pytest.approx([means[model] for model in order])
    assert f"  - override /model: {order[0]}\n" in (csv.parent / "best.yaml").read_text()


@pytest.mark.slow
def test_the_reason_for_a_missing_report_is_printed(command):
    for rate in ("0.1", "0.01"):
        command("data=xor", "trainer.max_epochs=1", f"optimizer.lr={rate}", f"hydra.run.dir={rate}")
    paths = "ckpt_path=0.1/checkpoints/last.ckpt,0.01/checkpoints/last.ckpt"
    outcome = command("-m", "data=xor", "train=false", paths)
    assert outcome.code == 0, outcome.err
    assert "no report: metric: no run has a validation metric; expected one of test/accuracy, " in outcome.out


def test_errors_are_reported(command):
    assert command("sweep", "report").err.startswith(
        "error: sweep report: the following arguments are required: directory"
    )
    assert command("sweep", "report", "nowhere").err == "error: no runs below 'nowhere'\n"
    assert "--metrik=x; did you mean '--metric'?" in command("sweep", "report", "s", "--metrik=x").err
