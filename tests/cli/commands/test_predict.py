"""Tests of `trainer predict`: output files and messages."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

QUICK = ["trainer.max_epochs=1", "test=false", "callbacks=[checkpoint]", "logger=none"]


@pytest.fixture
def xor(command, tmp_path):
    """Create a checkpoint and an input file."""
    assert command("data=xor", "model=linear", *QUICK, "hydra.run.dir=xor").code == 0
    (tmp_path / "a.csv").write_text("0,0\n0,1\n")


def test_predictions_are_printed_as_csv_or_written_to_csv_or_jsonl(xor, command, tmp_path):
    printed = command("predict", "xor", "a.csv")
    rows = [*csv.DictReader(printed.out.splitlines())]
    assert [*rows[0]] == ["source", "row", "class", "p_false", "p_true"]
    assert [(row["source"], row["row"]) for row in rows] == [("a.csv", "1"), ("a.csv", "2")]
    assert all(float(row[f"p_{row['class']}"]) >= 0.5 for row in rows)

    saved = command("predict", "xor/checkpoints/best.ckpt", "a.csv", "a.csv", "--to=said.csv", "--batch=1")
    assert (saved.code, saved.out) == (0, "said.csv: 4 predictions\n")
    assert (tmp_path / "said.csv").read_text().startswith(printed.out)

    assert command("predict", "xor", "a.csv", "--to=said.jsonl").code == 0
    first = json.loads((tmp_path / "said.jsonl").read_text().splitlines()[0])
    assert first["probabilities"] == {name: float(rows[0][f"p_{name}"]) for name in ("false", "true")}
    assert {*(file.name for file in tmp_path.iterdir())} >= {"said.csv", "said.jsonl"}
    assert not [*tmp_path.glob("*.part")]


def test_predictions_before_an_invalid_line_are_kept_in_a_partial_file(xor, command, tmp_path):
    (tmp_path / "a.csv").write_text("0,0\n0,1\n1,x\n")
    outcome = command("predict", "xor", "a.csv", "--to=said.csv", "--batch=1")
    assert outcome.code == 1
    assert "a.csv, line 3, column 1 (counted from 0) has 'x', expected a number" in outcome.err
    assert "(earlier predictions are in said.csv.part)" in outcome.err
    assert len((tmp_path / "said.csv.part").read_text().splitlines()) == 3
    assert not (tmp_path / "said.csv").exists()


def test_regression_values_and_images(command, tmp_path):
    assert command("data=line", "model=linear", *QUICK, "hydra.run.dir=line").code == 0
    (tmp_path / "x.csv").write_text("1\n")
    assert command("predict", "line", "x.csv").out.startswith("source,row,value\nx.csv,1,")
    assert command("model=linear", *QUICK, "hydra.run.dir=digits").code == 0
    Image.fromarray(np.zeros((16, 32), np.uint8)).save(tmp_path / "a.png")
    assert "choose how to fit it: --fit crop, pad or stretch" in command("predict", "digits", "a.png").err
    fitted = command("predict", "digits", "a.png", "--fit=crop", "--invert")
    assert fitted.out.startswith("source,row,class,p_0,p_1,")
    assert fitted.out.splitlines()[1].startswith("a.png,,")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "predict: the following arguments are required: checkpoint  (see trainer predict --help)\n"),
        (["xor"], "predict: no files; expected: trainer predict xor FILES...\n"),
        (["nowhere", "a.csv"], "no checkpoint and no run directory 'nowhere'"),
        (["xor", "b.csv"], "b.csv: no such file"),
        (["xor", "a.csv", "--bach=3"], "predict: unrecognized arguments: --bach=3; did you mean '--batch'?"),
        (["xor", "a.csv", "--batch=0"], "predict: argument --batch: '0' is not an integer of at least 1"),
        (["xor", "a.csv", "--to=a.txt"], "predict: --to: 'a.txt' ends neither in .csv nor in .jsonl"),
        (["xor", "a.csv", "--to=no/a.csv"], "predict: cannot write to 'no/a.csv': No such file or directory"),
        (["xor", "a.csv", "--fit=crop"], "fit: unknown option for data 'xor'"),
        (
            ["xor", "a.csv", "--fit=cut"],
            "predict: argument --fit: invalid choice: 'cut' (choose from 'crop', 'pad', 'stretch')",
        ),
        (["a.csv", "a.csv"], "'a.csv' is corrupted or not a checkpoint"),
    ],
)
def test_errors_are_reported_without_a_traceback(arguments, message, xor, command):
    outcome = command("predict", *arguments)
    assert outcome.code == (2 if "argument" in message else 1)
    assert outcome.err.startswith(f"error: {message}")
    assert outcome.out == ""


def test_the_message_for_a_gan_names_trainer_sample(command, tmp_path):
    gan = ["model=gan", "model.net.generator=[4]", "model.net.discriminator=[4]"]
    assert command(*gan, *QUICK, "hydra.run.dir=gan").code == 0
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    assert (
        "'gan/checkpoints/best.ckpt' contains a GAN; generate images with: trainer sample"
        in command("predict", "gan", "a.png").err
    )
