"""Formulas and control characters in the CSV output of commands."""

import csv
import json

from trainer.cli.commands.predict import write_records

FORMULA = "=HYPERLINK(A1)"


def read(text):
    return [*csv.reader(text.splitlines())]


def test_predictions_contain_no_formulas(capsys, tmp_path):
    record = {"source": "a.csv", "=note": FORMULA, "text": "a\x1b[0m", "delta": "-1.5", "value": -2.5, "none": None}
    write_records([record], None)
    rows = read(capsys.readouterr().out)
    assert rows == [
        ["source", "'=note", "text", "delta", "value", "none"],
        ["a.csv", f"'{FORMULA}", r"a\x1b[0m", "-1.5", "-2.5", ""],
    ]
    write_records([record], tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text())["=note"] == FORMULA  # for programs


def test_tables_of_runs_contain_no_formulas(command, tmp_path):
    for number, tag in enumerate((FORMULA, "b")):
        run = tmp_path / f"outputs/{number}"
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("seed: 1\n")
        (run / "provenance.json").write_text(json.dumps({"overrides": [tag], "run": str(run)}))
        (run / "result.json").write_text(json.dumps({"state": "finished", "metrics": {"test/loss": -1.5}}))
    rows = read(command("runs", "--csv").out)
    assert [
        (row["changed"], row["test/loss"]) for row in (dict(zip(rows[0], row, strict=True)) for row in rows[1:])
    ] == [
        (f"'{FORMULA}", "-1.5"),
        ("b", "-1.5"),
    ]
