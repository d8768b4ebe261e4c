"""Run inference on images, CSV rows, texts or prices, or on the examples of a run's data module.

trainer predict CHECKPOINT FILES... [--to FILE.csv] [--batch 256] [--json]
trainer predict CHECKPOINT [--to FILE.pt] [--json]

CHECKPOINT  a .ckpt file, or a run directory (its best checkpoint)
FILES       images: PNG, JPEG etc., or directories of them
            tables: CSV and other tables with the columns of the training file; the target may be missing. The output
            has all columns of the file; one with the name of a column of the prediction, such as class, becomes
            class_in_file
            texts: files with one text per line, directories with one text per .txt file, tables with the text column
            of the training file, or sentences: an argument is a file if it exists, ends in .txt, .csv etc., or
            contains a path separator but no blank
            prices: tables with a date and a price per row; one forecast for each day with enough preceding days
            none: `predict_step` of the model runs on `predict_dataloader` of the data, or else on `test_dataloader`
--to        output file, .csv or .jsonl, without FILES also .pt (what `predict_step` returned for each batch); by
            default predictions are printed as CSV
--batch     examples in memory at a time; files may be larger than the memory
--fit       for images with another aspect ratio than the training images: crop, pad or stretch
--invert    invert the brightness of images, for dark ink on paper if the training images have bright strokes
--trust     comma-separated packages of yours whose code the checkpoint names
"""

import csv
import json
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from trainer.cli.commands import integer, parse_arguments
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.core.errors import UserError
from trainer.core.escaping import escape_csv_cell
from trainer.core.formatting import quote_argument
from trainer.inference.load_checkpoint import find_checkpoint, load_checkpoint, read_checkpoint
from trainer.inference.prediction_records import Record, iter_records
from trainer.inference.predictions import flatten_record
from trainer.inference.predictor import DEFAULT_BATCH_SIZE, Predictor


@dataclass(frozen=True)
class PredictionFile:
    """A file of predictions.

    Args:
        file: Path of the file.
        count: Number of predictions; of batches in a .pt file.
    """

    file: Path
    count: int


JSON_OUTPUTS: JsonOutputs = {
    "predict": (
        list[Record],
        "Predictions: `source`, `row` and columns of the file, then `class` with `probabilities` or `scores` by class, "
        "or `value`, or `values`.",
    ),
    "predict --to FILE": (PredictionFile, "The file."),
}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    batch = {"type": integer(1), "default": None}
    fit = ("crop", "pad", "stretch")
    settings = {"to": None, "batch": batch, "fit": fit, "invert": False, "trust": "", "json": False}
    args = parse_arguments("predict", argv, "checkpoint", "files*", **settings)
    output = Path(args.to) if args.to else None
    suffixes = (".csv", ".jsonl") if args.files else (".csv", ".jsonl", ".pt")
    if output and output.suffix not in suffixes:
        expected = f"{', '.join(suffixes[:-1])} nor in {suffixes[-1]}"
        raise UserError(f"predict: --to: '{output}' ends neither in {expected}")
    options = {name: value for name, value in (("fit", args.fit), ("invert", args.invert)) if value}
    if args.files:
        predictor = Predictor(load_checkpoint(Path(args.checkpoint), trusted=args.trust))
        predictions = predictor.stream(args.files, batch_size=args.batch or DEFAULT_BATCH_SIZE, **options)
        return write_records(map(predictor.build_record, predictions), output, as_json=args.json)
    if args.batch:
        options["batch"] = args.batch
    return predict_data_module(Path(args.checkpoint), output, [*options], args.trust, as_json=args.json)


def predict_data_module(
    path: Path, output: Path | None, options: Collection[str], trusted: str, *, as_json: bool
) -> int:
    """Write the outputs of `predict_step` for the examples of the data module.

    Args:
        path: Checkpoint or run directory.
        output: Output file; None prints.
        options: Names of the options that only files can have.
        trusted: Comma-separated packages of the user.
        as_json: Whether JSON is printed instead of CSV.

    Raises:
        UserError: The data set has a preprocessing of files, or an option requires files.
    """
    file = find_checkpoint(path)
    content = read_checkpoint(file, trusted)
    if content["preprocessing"] or options:
        reason = f"--{', --'.join(options)} require files" if options else "no files"
        raise UserError(f"predict: {reason}; expected: trainer predict {quote_argument(path)} FILES...")
    from trainer.training.predict import predict_batches  # imports Lightning's loops

    outputs = predict_batches(content, file)
    if output and output.suffix == ".pt":
        with open_output(output, "wb") as stream:
            torch.save(outputs if len(outputs) > 1 else outputs[0], stream)
        print_file(PredictionFile(output, sum(map(len, outputs))), "batches", as_json=as_json)
        return 0
    return write_records(iter_records(outputs), output, as_json=as_json)


@contextmanager
def open_output(file: Path | None, mode: str = "w") -> Iterator[IO[Any]]:
    """Yield a stream to a file, which is created when everything is written, or standard output without a file.

    Raises:
        UserError: The file cannot be written, or an input cannot be read; the message names the partial output.
    """
    if file is None:
        yield sys.stdout
        return
    partial = file.with_name(f"{file.name}.part")
    text_format: dict[str, Any] = {} if mode == "wb" else {"encoding": "utf-8", "newline": ""}
    try:
        with partial.open(mode, **text_format) as stream:
            yield stream
        partial.replace(file)
    except OSError as error:
        raise UserError(f"predict: cannot write to '{file}': {error.strerror}") from error
    except UserError as error:
        if not partial.stat().st_size:
            partial.unlink()
            raise
        raise UserError(f"{error}\n  (earlier predictions are in {partial})") from None


def print_file(file: PredictionFile, unit: str, *, as_json: bool) -> None:
    """Print the path of a file and the number of its entries."""
    if as_json:
        print_json(file)
    else:
        print(f"{file.file}: {file.count:,} {unit}")


def write_records(records: Iterable[Record], output: Path | None, *, as_json: bool = False) -> int:
    """Write one record after the other to a file, or print them as CSV or JSON; return the exit status 0."""
    if as_json and not output:
        print_json([*records])
        return 0
    count = 0
    header: dict[str, Any] = {}
    with open_output(output) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for count, record in enumerate(records, 1):
            if output and output.suffix == ".jsonl":
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
                continue
            row = dict(flatten_record(record))
            if count == 1:
                header = row
                writer.writerow(map(escape_csv_cell, header))
            if row.keys() != header.keys():
                hint = "--to=FILE.jsonl writes rows with different columns"
                raise UserError(f"predict: row {count} has columns {[*row]}, row 1 {[*header]}\n  {hint}")
            writer.writerow("" if value is None else escape_csv_cell(value) for value in row.values())
    if output:
        print_file(PredictionFile(output, count), "predictions", as_json=as_json)
    return 0
