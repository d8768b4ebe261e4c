"""Run inference on images, CSV rows, texts or prices.

trainer predict CHECKPOINT FILES... [--to FILE.csv] [--batch 256]

CHECKPOINT  a .ckpt file, or a run directory (its best checkpoint); neither data set nor config is needed
FILES       images: PNG, JPEG etc., or directories of them
            tables: CSV files with the columns of the training file; the target may be missing
            texts: files with one text per line, directories with one text per .txt file, CSV files
            prices: CSV files with a date and a price per line; one forecast for each day with enough preceding days
--to        output file, .csv or .jsonl; by default predictions are printed as CSV
--batch     examples in memory at a time; files may be larger than the memory
--fit       for images with another aspect ratio than the training images: crop, pad or stretch
--invert    invert the brightness of images, for dark ink on paper if the training images have bright strokes
--trust     comma-separated packages of yours whose code the checkpoint names
"""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from trainer.cli.commands import integer, parse_arguments
from trainer.core.errors import UserError
from trainer.inference.load_checkpoint import load_checkpoint
from trainer.inference.predictor import DEFAULT_BATCH_SIZE, Prediction, Predictor

COLUMN_PREFIXES = {"probabilities": "p", "scores": "score"}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    batch = {"type": integer(1), "default": DEFAULT_BATCH_SIZE}
    fit = ("crop", "pad", "stretch")
    args = parse_arguments(
        "predict", argv, "checkpoint", "files+", to=None, batch=batch, fit=fit, invert=False, trust=""
    )
    output = Path(args.to) if args.to else None
    if output and output.suffix not in (".csv", ".jsonl"):
        raise UserError(f"predict: --to: '{output}' ends neither in .csv nor in .jsonl")
    predictor = Predictor(load_checkpoint(Path(args.checkpoint), trusted=args.trust))
    options = {name: value for name, value in (("fit", args.fit), ("invert", args.invert)) if value}
    predictions = predictor.stream(args.files, batch_size=args.batch, **options)
    with open_output(output) as stream:
        count = write_predictions(predictions, predictor, stream, as_json=bool(output and output.suffix == ".jsonl"))
    if output:
        print(f"{output}: {count:,} predictions")
    return 0


@contextmanager
def open_output(file: Path | None) -> Iterator[TextIO]:
    """Yield a stream to a file, which is created when everything is written, or standard output without a file.

    Raises:
        UserError: The file cannot be written, or an input cannot be read; the message names the partial output.
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
        raise UserError(f"{error}\n  (earlier predictions are in {partial})") from None


def write_predictions(predictions: Iterator[Prediction], predictor: Predictor, stream: TextIO, *, as_json: bool) -> int:
    """Write predictions one by one and return their number."""
    count = 0
    writer = csv.writer(stream, lineterminator="\n")
    for count, prediction in enumerate(predictions, 1):
        record = build_record(prediction, predictor)
        if as_json:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            continue
        row = dict(flatten_record(record))
        if count == 1:
            writer.writerow(row)
        writer.writerow("" if value is None else value for value in row.values())
    return count


def build_record(prediction: Prediction, predictor: Predictor) -> dict[str, Any]:
    """Return source, row, known facts and prediction of one example."""
    head = {"source": prediction.source, "row": prediction.row, **prediction.facts}
    if prediction.label is None:
        values = prediction.values
        return {**head, "value": values[0]} if len(values) == 1 else {**head, "values": [*values]}
    key = "probabilities" if predictor.has_probabilities else "scores"
    return {**head, "class": prediction.label, key: prediction.probabilities}


def flatten_record(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a record with one column for each class or value: `p_NAME`, `score_NAME`, `value_1`."""
    for name, value in record.items():
        if name in COLUMN_PREFIXES:
            yield from ((f"{COLUMN_PREFIXES[name]}_{label}", number) for label, number in value.items())
        elif name == "values":
            yield from ((f"value_{index}", number) for index, number in enumerate(value, 1))
        else:
            yield name, value
