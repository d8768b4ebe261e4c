"""Stages, metrics and classes in the names of logged values, and their table at the end of a run."""

from io import StringIO

import pytest
from rich.console import Console

from trainer.artifacts.console_summary import build_tables
from trainer.artifacts.run_record import format_measurement_times
from trainer.core.metric_name import MetricName, list_metrics, make_tensorboard_tag


@pytest.mark.parametrize(
    ("name", "stage", "metric", "label"),
    [
        ("val/loss", "val", "loss", ""),
        ("val_loss", "val", "loss", ""),
        ("validation_loss", "val", "loss", ""),
        ("train_loss_epoch", "train", "loss_epoch", ""),
        ("val/loss_best", "val", "loss_best", ""),
        ("test/recall/cat", "test", "recall", "cat"),
        ("val/loss/dataloader_idx_0", "val", "loss (loader 0)", ""),
        ("val_loss/dataloader_idx_12", "val", "loss (loader 12)", ""),
        ("test/recall/cat/dataloader_idx_1", "test", "recall (loader 1)", "cat"),
        ("loss", "", "loss", ""),
        ("gan/loss", "", "gan/loss", ""),
        ("trained", "", "trained", ""),
    ],
)
def test_names_have_a_stage_a_metric_and_perhaps_a_class(name, stage, metric, label):
    assert MetricName.parse(name) == (stage, metric, label)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("val/loss", "loss/val"),
        ("val_loss", "val_loss"),
        ("valid/loss", "valid/loss"),
        ("val/loss_best", "loss/val_best"),
        ("train/acc", "acc/train"),
        ("val/accuracy", "accuracy/val"),
        ("val/generator_loss", "generator_loss/val"),
        ("val/auroc", "metrics/auroc/val"),
        ("val/balanced_accuracy_best", "metrics/balanced_accuracy/val_best"),
        ("val/loss/dataloader_idx_0", "loss (loader 0)/val"),
        ("test/recall/cat", "per_class/recall/test/cat"),
        ("lr", "other/lr"),
        ("lr/pg1", "other/lr/pg1"),
        ("train/grad_norm", "other/train/grad_norm"),
        ("epoch", "other/epoch"),
        ("energy/kinetic", "energy/kinetic"),
    ],
)
def test_tags_of_tensorboard_start_with_the_metric(name, tag):
    assert make_tensorboard_tag(name) == tag


def test_the_metrics_of_stages_are_without_those_of_single_classes():
    names = ["train/loss", "lr", "val/loss", "val/loss_best", "test/accuracy", "test/accuracy/cat"]
    assert list_metrics(names, "val", "test") == ["val/loss", "val/loss_best", "test/accuracy"]


def render(metrics):
    console = Console(width=80, file=StringIO())
    for table in build_tables(metrics, {}):
        console.print(table)
    lines = console.file.getvalue().splitlines()
    rows = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines]
    return [row for row in rows if len(row) > 1]


def test_the_table_of_a_foreign_run_has_a_column_per_stage():
    metrics = {"train_loss_step": 3, "train_loss_epoch": 2, "val_loss/dataloader_idx_0": 1, "val_loss": 4, "g_loss": 5}
    metrics |= {"lr-Adam-1": 6, "grad_norm_SGD": 7, "test_loss": 8, "lr": 9}
    assert render(metrics) == [
        ["metric", "train", "val", "test", "value"],
        ["loss_step", "3.0000", "", "", ""],
        ["loss_epoch", "2.0000", "", "", ""],
        ["loss (loader 0)", "", "1.0000", "", ""],
        ["loss", "", "4.0000", "8.0000", ""],
        ["g_loss", "", "", "", "5.0000"],
    ]
    assert format_measurement_times(metrics, None) == "train: last logged; val: last epoch; test: last weights"


def test_classes_have_a_table_of_their_own():
    assert render({"test/recall/cat": 0.5, "test/f1/cat": 1, "test/loss": 2}) == [
        ["metric", "test"],
        ["loss", "2.0000"],
        ["class", "recall", "f1"],
        ["cat", "0.5000", "1.0000"],
    ]


def test_classes_may_have_any_name():
    metrics = {f"test/recall/{name}": 0.5 for name in ("n/a", "a/b/c", "[red]two", "\x1b[31mthree")}
    assert [row[0] for row in render(metrics)[1:]] == ["n/a", "a/b/c", "[red]two", r"\x1b[31mthree"]
    [table] = build_tables({"test/recall/a\nb": 0.5}, {})
    assert (table.columns[0].header.plain, [cell.plain for cell in table.columns[0].cells]) == ("class", ["a\nb"])
    assert render({"val/[red]loss": 1.0}) == [["metric", "val"], ["[red]loss", "1.0000"]]
