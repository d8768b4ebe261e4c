"""`trainer predict`: what it writes, and its messages."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

QUICK = ["trainer.max_epochs=1", "test=false", "callbacks=[checkpoint]", "logger=none"]


@pytest.fixture
def xor(command, tmp_path):
    """A checkpoint that is not clever, and a file for it."""
    assert command("data=xor", "model=linear", *QUICK, "hydra.run.dir=xor").code == 0
    (tmp_path / "a.csv").write_text("0,0\n0,1\n")


def test_predictions_are_printed_as_csv_or_go_into_a_file_of_either_kind(xor, command, tmp_path):
    printed = command("predict", "xor", "a.csv")
    rows = [*csv.DictReader(printed.out.splitlines())]
    assert [*rows[0]] == ["source", "row", "class", "p_false", "p_true"]
    assert [(row["source"], row["row"]) for row in rows] == [("a.csv", "1"), ("a.csv", "2")]
    assert all(float(row[f"p_{row['class']}"]) >= 0.5 for row in rows)

    written = command("predict", "xor/checkpoints/best.ckpt", "a.csv", "a.csv", "to=said.csv", "batch=1")
    assert (written.code, written.out) == (0, "said.csv: 4 predictions\n")
    assert (tmp_path / "said.csv").read_text().startswith(printed.out)

    assert command("predict", "xor", "a.csv", "to=said.jsonl").code == 0
    first = json.loads((tmp_path / "said.jsonl").read_text().splitlines()[0])
    assert first["probabilities"] == {name: float(rows[0][f"p_{name}"]) for name in ("false", "true")}
    assert {*(file.name for file in tmp_path.iterdir())} >= {"said.csv", "said.jsonl"}
    assert not [*tmp_path.glob("*.part")]


def test_what_was_predicted_before_a_bad_line_is_kept_beside(xor, command, tmp_path):
    (tmp_path / "a.csv").write_text("0,0\n0,1\n1,x\n")
    outcome = command("predict", "xor", "a.csv", "to=said.csv", "batch=1")
    assert outcome.code == 1
    assert "a.csv, line 3, column 1 (counted from 0) has 'x', where a number belongs" in outcome.err
    assert "(what was predicted before it lies in said.csv.part)" in outcome.err
    assert len((tmp_path / "said.csv.part").read_text().splitlines()) == 3
    assert not (tmp_path / "said.csv").exists()


def test_values_and_pictures(command, tmp_path):
    assert command("data=line", "model=linear", *QUICK, "hydra.run.dir=line").code == 0
    (tmp_path / "x.csv").write_text("1\n")
    assert command("predict", "line", "x.csv").out.startswith("source,row,value\nx.csv,1,")
    assert command("model=linear", *QUICK, "hydra.run.dir=digits").code == 0
    Image.fromarray(np.zeros((16, 32), np.uint8)).save(tmp_path / "a.png")
    assert "add fit=crop, fit=pad or fit=stretch" in command("predict", "digits", "a.png").err
    fitted = command("predict", "digits", "a.png", "fit=crop", "invert=true")
    assert fitted.out.startswith("source,row,class,p_0,p_1,")
    assert fitted.out.splitlines()[1].startswith("a.png,,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "predict: name a checkpoint, and files to predict\n  trainer predict CHECKPOINT FILES..."),
        (["xor"], "predict: name a checkpoint, and files to predict"),
        (["nowhere", "a.csv"], "no checkpoint and no run directory 'nowhere'"),
        (["xor", "b.csv"], "b.csv: no such file"),
        (["xor", "a.csv", "bach=3"], "there is no setting 'bach'; did you mean 'batch'?"),
        (["xor", "a.csv", "batch=0"], "predict: batch='0' is not a whole number from 1"),
        (["xor", "a.csv", "to=a.txt"], "predict: to='a.txt' ends neither in .csv nor in .jsonl"),
        (["xor", "a.csv", "to=no/a.csv"], "predict: cannot write to 'no/a.csv': No such file or directory"),
        (["xor", "a.csv", "fit=crop"], "fit: there is no such setting for data 'xor'"),
        (["xor", "a.csv", "invert=1"], "predict: invert='1' is neither true nor false"),
        (["a.csv", "a.csv"], "'a.csv' is damaged, or no checkpoint at all"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(words, message, xor, command):
    outcome = command("predict", *words)
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: {message}")
    assert outcome.out == ""


def test_a_gan_is_sent_to_where_images_are_made(command, tmp_path):
    gan = ["model=gan", "model.net.generator=[4]", "model.net.discriminator=[4]"]
    assert command(*gan, *QUICK, "hydra.run.dir=gan").code == 0
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    assert (
        "'gan/checkpoints/best.ckpt' holds a GAN, which makes images: trainer sample"
        in command("predict", "gan", "a.png").err
    )
