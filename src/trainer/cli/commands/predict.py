"""What a trained network says of your files: pictures, CSV rows, texts, prices.

trainer predict CHECKPOINT FILES... [to=FILE.csv] [batch=256]

CHECKPOINT  a .ckpt file, or a run directory, whose best checkpoint is taken. No data set and no config is needed.
FILES       of images: PNG, JPEG ..., or directories of them
            of tables: CSV files with the columns of the training file; the target may be left out
            of texts: files with a text in each line, directories with a text in each .txt, CSV files
            of prices: CSV files with a date and a price in each line; a forecast for each day that has enough before
to          where the predictions go, .csv or .jsonl; without it they are printed, as CSV
batch       examples in memory at a time; files may be larger than the memory
fit         of pictures of other proportions than those in training: crop, pad or stretch
invert      true: dark and bright of pictures change places, for ink on paper where training had bright strokes
trust       packages of your own whose code the checkpoint names, with commas between them
"""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from trainer.cli.commands import split_words
from trainer.core.errors import UserError
from trainer.inference.load_checkpoint import restore
from trainer.inference.predictor import AT_ONCE, Prediction, Predictor

USAGE = "trainer predict CHECKPOINT FILES... [to=FILE.csv] [batch=256]"


def main(words: list[str]) -> int:
    """Run the command with the words behind `predict`; the exit status is 0."""
    paths, given = split_words(words, ["to", "batch", "trust", "fit", "invert"], USAGE)
    if len(paths) < 2:
        raise UserError(f"predict: name a checkpoint, and files to predict\n  {USAGE}")
    batch = given.pop("batch", str(AT_ONCE))
    if not batch.isdecimal() or int(batch) < 1:
        raise UserError(f"predict: batch='{batch}' is not a whole number from 1")
    to = Path(given.pop("to")) if "to" in given else None
    if to and to.suffix not in (".csv", ".jsonl"):
        raise UserError(f"predict: to='{to}' ends neither in .csv nor in .jsonl")
    predictor = Predictor(restore(Path(paths[0]), trusted=given.pop("trust", "")))
    options: dict[str, Any] = dict(given)
    if "invert" in options:
        if options["invert"] not in ("true", "false"):
            raise UserError(f"predict: invert='{options['invert']}' is neither true nor false")
        options["invert"] = options["invert"] == "true"
    predictions = predictor.stream(paths[1:], at_once=int(batch), **options)
    with written(to) as stream:
        count = write(predictions, predictor, stream, as_json=bool(to and to.suffix == ".jsonl"))
    if to:
        print(f"{to}: {count:,} predictions")
    return 0


@contextmanager
def written(file: Path | None) -> Iterator[TextIO]:
    """A stream into a file, which is there when all is written; standard output where no file is named.

    Raises:
        UserError: The file cannot be written; or reading what goes in failed, and then says where the rest lies.
    """
    if file is None:
        yield sys.stdout
        return
    partial = file.with_name(f"{file.name}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        partial.replace(file)
    except OSError as error:
        raise UserError(f"predict: cannot write to '{file}': {error.strerror}") from error
    except UserError as error:
        if not partial.stat().st_size:
            partial.unlink()
            raise
        raise UserError(f"{error}\n  (what was predicted before it lies in {partial})") from None


def write(predictions: Iterator[Prediction], predictor: Predictor, stream: TextIO, *, as_json: bool) -> int:
    """Write predictions as they come; returns how many."""
    count, table = 0, csv.writer(stream, lineterminator="\n")
    for count, prediction in enumerate(predictions, 1):
        if as_json:
            stream.write(json.dumps(record(prediction, predictor), ensure_ascii=False) + "\n")
            continue
        flat = dict(flattened(record(prediction, predictor)))
        if count == 1:
            table.writerow(flat)
        table.writerow("" if value is None else value for value in flat.values())
    return count


def record(prediction: Prediction, predictor: Predictor) -> dict[str, Any]:
    """A prediction as it is written: source, row, what was known, and what is said."""
    head = {"source": prediction.source, "row": prediction.row, **prediction.facts}
    if prediction.label is None:
        values = prediction.values
        return {**head, "value": values[0]} if len(values) == 1 else {**head, "values": [*values]}
    key = "probabilities" if predictor.is_sure else "scores"
    return {**head, "class": prediction.label, key: prediction.probabilities}


def flattened(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """A record with a column for each class or value: `p_NAME`, `score_NAME`, `value_1`."""
    marks = {"probabilities": "p", "scores": "score"}
    for name, value in record.items():
        if name in marks:
            yield from ((f"{marks[name]}_{each}", number) for each, number in value.items())
        elif name == "values":
            yield from ((f"value_{place}", number) for place, number in enumerate(value, 1))
        else:
            yield name, value
