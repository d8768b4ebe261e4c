"""Data set of numeric rows from any CSV file; one column is the target."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Fraction, Target
from trainer.data.base import TensorData, count_outputs
from trainer.data.io.class_labels import (
    MAX_LISTED_LABELS,
    encode_labels,
    label_sort_key,
    normalize_label,
    suggest_class_names,
    validate_class_names,
)
from trainer.data.io.csv_file import CsvFile, fetch_csv, parse_float, read_csv
from trainer.data.io.csv_header import check_header
from trainer.data.loading.split import Split, Stage, random_split
from trainer.data.preprocessing.float_range import find_unusable_number, mean_and_std
from trainer.data.preprocessing.tabular import TabularPreprocessing
from trainer.data.synthetic import assign_quantile_classes, make_regression


class Table(TensorData):
    """A CSV file, split at random into training, validation and test.

    Missing numbers are replaced by the mean of their column; then each column is scaled to mean 0 and standard
    deviation 1. Both are computed on the training rows only.

    Args:
        path: The file, plain or .gz: relative to `dir`, absolute, or an http(s) URL that is downloaded to `dir` once.
        features: Number of input columns: all but the target and those in `drop`.
        dir: Root of the data sets.
        md5: Checksum of the file, or `CHECKSUM FILE` as md5sum prints it, which applies to this file only. Required
            for a URL.
        mirrors: URLs of http or https directories with the file, tried in turn if it is missing.
        download: Whether a missing file may be downloaded.
        header: Whether the first line contains the column names.
        delimiter: Delimiter of the cells, one character.
        target: Name of the target column, or its index from 0; negative indices count from the end.
        task: Kind of target: `"classification"` or `"regression"`.
        classes: Number of classes, which are 0, 1, ... in the file. Optional if `class_names` is set.
        class_names: Labels of the classes in the file; other labels are an error. If no name is a number, the file may
            contain the indices 0, 1, ... instead.
        drop: Names or indices of columns to leave out.
        missing: Cells that mark a missing number. The target must not be missing.
        standardize: Whether columns are scaled to mean 0 and standard deviation 1.
        standardize_target: Whether regression targets are scaled to mean 0 and standard deviation 1. Losses are then
            in these units; metrics and predictions are in the units of the file.
        synthetic: Whether synthetic rows replace the file, which is not read then.
        val_fraction, test_fraction: Fractions of the rows for validation and test.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    checksum_hint = "data.md5=''"  # the setting that reads a file with another checksum

    def __init__(
        self,
        *,
        path: str,
        features: int,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        md5: str = "",
        mirrors: Sequence[str] = (),
        download: bool = True,
        header: bool = True,
        delimiter: str = ",",
        target: str | int = -1,
        task: Target = "classification",
        classes: int | None = None,
        class_names: Sequence[str | int] = (),
        drop: Sequence[str | int] = (),
        missing: Sequence[str] = ("", "NA", "NaN", "nan", "?"),
        standardize: bool = True,
        standardize_target: bool = True,
        synthetic: bool = False,
        val_fraction: Fraction = 0.2,
        test_fraction: Fraction = 0.2,
        data_seed: int = 0,
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if features < 1:
            raise UserError("data.features: must be at least 1")
        self.path = path
        self.fetch_options = (Path(dir), md5, tuple(mirrors), download)
        self.header = header
        self.target = target
        self.task = task
        self.has_class_names = bool(class_names)
        self.class_names = _resolve_class_names(task, classes, class_names)
        self.features = features
        self.drop = tuple(drop)
        self.standardize = standardize
        self.standardize_target = standardize_target
        self.synthetic = synthetic
        self.fractions = (val_fraction, test_fraction)
        self.data_seed = data_seed
        self.preprocessing: TabularPreprocessing = TabularPreprocessing(  # `load` sets the columns and the scale
            tuple(range(features)), features, delimiter=delimiter, missing=tuple(missing)
        )

    @property
    def spec(self) -> DataSpec:
        """`features` numbers; classes, or one value."""
        names = self.class_names if self.task == "classification" else ()
        outputs = count_outputs(names) if names else 1
        shape = (self.features,)
        return DataSpec("table", "vector", shape, self.task, outputs, class_names=names, synthetic=self.synthetic)

    def load(self) -> dict[Stage, Split]:
        """Read the file, split the rows, and compute mean and standard deviation of the training rows."""
        if self.synthetic:
            inputs, values = make_regression(self.features)
            is_regression = self.task == "regression"
            targets = values[:, None] if is_regression else assign_quantile_classes(values, len(self.class_names))
            return self._split(Split(inputs, targets), self.preprocessing)
        path = fetch_csv(self.path, *self.fetch_options, self.checksum_hint)
        file = read_csv(path, header=self.header, delimiter=self.preprocessing.delimiter)
        check_header(file, {"data.target": [self.target], "data.drop": self.drop})
        target = file.index("data.target", self.target)
        columns = self._select_columns(file, target)
        inputs = torch.from_numpy(file.numbers(columns, self.preprocessing.missing))  # (rows, features), NaN if missing
        targets = self._read_values(file, target) if self.task == "regression" else self._read_classes(file, target)
        names = tuple(file.names[column] for column in columns) if file.names else ()
        preprocessing = replace(self.preprocessing, columns=tuple(columns), width=file.width, names=names)
        splits = self._split(Split(inputs, targets), preprocessing)
        self._check_precision(file, columns, inputs)
        assert self.preprocessing.mean is not None
        for index in self.preprocessing.mean.isnan().nonzero().flatten().tolist():
            column = file.describe_column(columns[index])
            raise UserError(f"{file.path}, {column}: missing in every training row; leave it out by data.drop")
        return splits

    def state_dict(self) -> dict[str, Any]:
        fields = self.preprocessing
        return super().state_dict() | {"names": fields.names, "mean": fields.mean, "std": fields.std}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the column statistics that the network was trained with, also for another file."""
        super().load_state_dict(state_dict)
        names = state_dict.get("names", self.preprocessing.names)
        if names != self.preprocessing.names:
            columns = ", ".join(self.preprocessing.names)
            raise UserError(
                f"data.path: '{self.path}' has the columns {columns}; expected {', '.join(names)}, as in training"
            )
        statistics = {name: state_dict[name] for name in ("mean", "std") if name in state_dict}
        self.preprocessing = replace(self.preprocessing, **statistics)

    def _select_columns(self, file: CsvFile, target: int) -> list[int]:
        """Return the indices of the input columns."""
        excluded = {target, *(file.index("data.drop", column) for column in self.drop)}
        columns = [column for column in range(file.width) if column not in excluded]
        for column in columns:
            if file.is_row_index(column):
                raise UserError(
                    f"{file.path}, {file.describe_column(column)}: an unnamed row index as written by pandas; leave it "
                    f"out: 'data.drop=[{column}]'"
                )
        if len(columns) != self.features:
            raise UserError(
                f"data.features: {self.features} expected, but {file.path} has {len(columns)} columns besides the "
                f"target ({file.describe_column(target)}); set data.features={len(columns)}"
            )
        return columns

    def _split(self, examples: Split, preprocessing: TabularPreprocessing) -> dict[Stage, Split]:
        sizes = [max(1, round(fraction * len(examples.targets))) if fraction > 0 else 0 for fraction in self.fractions]
        val, test, train = random_split(examples, *sizes, seed=self.data_seed)
        mean, std = mean_and_std(train.inputs)
        self.preprocessing = replace(preprocessing, mean=mean, std=std if self.standardize else None)
        return {"train": train, "val": val, "test": test}

    def _read_values(self, file: CsvFile, target: int) -> Tensor:
        """Return regression targets (rows, 1) in float64."""
        values = file.numbers([target], self.preprocessing.missing)
        for row in np.isnan(values).nonzero()[0]:
            raise UserError(f"{file.locate(int(row), target)}: the target is missing; remove the row from the file")
        return torch.from_numpy(values)

    def _read_classes(self, file: CsvFile, target: int) -> Tensor:
        """Return class indices (rows,)."""
        cells = file.cells(target)
        names = self.class_names
        for row, cell in enumerate(cells):  # a class may be a number that means missing in other columns
            if cell in self.preprocessing.missing and cell not in names and math.isnan(parse_float(cell)):
                raise UserError(f"{file.locate(row, target)}: the target is missing; remove the row from the file")
        labels = sorted(set(cells), key=label_sort_key)
        if len({normalize_label(label) for label in labels}) == 1:
            raise UserError(
                f"{file.path}, {file.describe_column(target)}: every row is of class '{labels[0]}'; need at least two"
            )
        if not self.has_class_names and {parse_float(label) for label in labels} != {*range(len(names))}:
            raise UserError(_explain_class_mismatch(file, target, labels, len(names)))
        return torch.tensor(encode_labels(file, target, names))

    def _check_precision(self, file: CsvFile, columns: Sequence[int], inputs: Tensor) -> None:
        """Raise an error if different numbers become equal, or infinite, in the network inputs."""
        for column, values in zip(columns, inputs.T, strict=True):
            numbers = values[~values.isnan()]
            if len(numbers) == 0 or numbers.min() < numbers.max():
                continue
            if len({normalize_label(cell) for cell in {*file.cells(column)} - {*self.preprocessing.missing}}) > 1:
                raise UserError(
                    f"{file.path}, {file.describe_column(column)}: its numbers differ only beyond the precision of "
                    "64-bit floats; leave it out by data.drop"
                )
        if unusable := find_unusable_number(inputs, self.preprocessing.prepare(inputs)):
            row, index, reason = unusable
            column = columns[index]
            hint = "" if self.standardize else "set data.standardize=true, or "
            raise UserError(
                f"{file.locate(row, column)}: {file.rows[row][column]} {reason}; {hint}add it to data.missing if it "
                f"means a missing number, or leave out {file.describe_column(column)} by data.drop"
            )


def _resolve_class_names(task: Target, classes: int | None, class_names: Sequence[str | int]) -> tuple[str, ...]:
    names = tuple(str(name).strip() for name in class_names)
    validate_class_names(names)
    if task == "classification" and names and classes not in (None, len(names)):
        raise UserError(f"data.classes: {classes}, but data.class_names has {len(names)}; leave out one of them")
    if task == "classification" and ((2 if classes is None else classes) < 2 or len(names) == 1):
        raise UserError("data.classes: expected at least 2")
    return names or tuple(map(str, range(classes or 2)))


def _explain_class_mismatch(file: CsvFile, target: int, labels: Sequence[str], expected: int) -> str:
    """Return the message for labels other than 0 to `expected` - 1."""
    numbers = sorted({parse_float(label) for label in labels})
    column = f"{file.path}, {file.describe_column(target)}, has"
    listed = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
    message = f"data.classes: {expected} expected, but {column} {len(labels)}: {listed}"
    hint = "; for a column of values, set data.task=regression" if len(labels) > MAX_LISTED_LABELS else ""
    if numbers == list(range(len(numbers))):
        return f"{message}; set data.classes={len(numbers)}{hint}"
    return message + hint if hint else f"data.class_names: {column} {listed}; {suggest_class_names(file, target)}"
