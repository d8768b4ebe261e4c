"""Table: the rows of any CSV file as vectors of numbers, with one column to be told from the others."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Share, Target
from trainer.data.base import TensorData
from trainer.data.io.class_labels import LABELS_SHOWN, check_names, class_indices, in_order, label_key, listing
from trainer.data.io.csv_file import CsvFile, find_csv, number_or_nan, read_csv
from trainer.data.io.csv_header import check_header
from trainer.data.loading.split import Split, Stage, cut
from trainer.data.preprocessing.float_range import mean_and_std, unusable_number
from trainer.data.preprocessing.tabular import Rows
from trainer.data.synthetic import classes_of, rows


class Table(TensorData):
    """A CSV file, cut at random into train, validation and test.

    Missing numbers become the mean of their column over the training rows; then each column is brought to mean 0
    and deviation 1 over them. Nothing is learnt from the other rows.

    Args:
        path: The file, plain or .gz, below `dir`, or absolute; or an http(s) URL, which is fetched into `dir` once.
        features: Number of columns that the network gets: all but the target and those in `drop`.
        dir: Root of the data sets.
        md5: Checksum of the file, or `CHECKSUM FILE` as md5sum prints it: checked for this file alone. A URL needs it.
        mirrors: http or https folders which have the file, tried in turn where it is missing.
        download: Whether a missing file may be fetched.
        header: Whether the first line names the columns.
        delimiter: Between cells, one character.
        target: The column to be told: its name, or its number, from 0, or from the end where negative.
        task: Whether the target holds `"classes"` or `"values"`.
        classes: How many, numbered 0, 1, ... in the file; with `class_names` it need not be told.
        class_names: Labels of the classes in the file; a label that is not listed is an error. If none of these names
            is a number, the file may hold the numbers 0, 1, ... of the classes instead.
        drop: Columns to leave out, by name or number.
        missing: What stands for a missing number. A target may not be missing.
        standardise: Whether columns are brought to mean 0 and deviation 1.
        standardize_target: Whether the network learns values with mean 0 and standard deviation 1. Losses are then in
            these units; metrics and predictions are in those of the file.
        synthetic: Whether made-up rows stand in for the file, which is not read then.
        val_share, test_share: Shares of the rows kept for validation and for the test.
        data_seed: Of the cut; not the run's seed, so that runs compare.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    other_file = "data.md5=''"  # the setting that reads a file with another checksum

    def __init__(
        self,
        *,
        path: str,
        features: int,
        dir: str = "data",  # noqa: A002  the word users type: data.dir
        md5: str = "",
        mirrors: Sequence[str] = (),
        download: bool = True,
        header: bool = True,
        delimiter: str = ",",
        target: str | int = -1,
        task: Target = "classes",
        classes: int | None = None,
        class_names: Sequence[str | int] = (),
        drop: Sequence[str | int] = (),
        missing: Sequence[str] = ("", "NA", "NaN", "nan", "?"),
        standardise: bool = True,
        standardize_target: bool = True,
        synthetic: bool = False,
        val_share: Share = 0.2,
        test_share: Share = 0.2,
        data_seed: int = 0,
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        names = tuple(str(name).strip() for name in class_names)
        check_names(names)
        if task == "classes" and names and classes not in (None, len(names)):
            raise UserError(f"data.classes: {classes}, but data.class_names has {len(names)}; leave out one of them")
        if task == "classes" and ((2 if classes is None else classes) < 2 or len(names) == 1):
            raise UserError("data.classes: there must be at least 2")
        if features < 1:
            raise UserError("data.features: must be at least 1")
        self.path, self.root, self.md5, self.mirrors, self.download = path, Path(dir), md5, tuple(mirrors), download
        self.header, self.delimiter, self.target, self.task = header, delimiter, target, task
        self.named, self.class_names = bool(names), names or tuple(str(n) for n in range(classes or 2))
        self.features, self.drop, self.missing, self.standardise = features, tuple(drop), tuple(missing), standardise
        self.standardize_target = standardize_target
        self.synthetic = synthetic
        self.shares, self.data_seed = (val_share, test_share), data_seed
        self.preprocessing: Rows = Rows(tuple(range(features)), features)  # load learns the rest

    @property
    def spec(self) -> DataSpec:
        """As many features as promised; classes, or one value."""
        if self.task == "values":
            return DataSpec("table", "vector", (self.features,), "values", output_size=1, synthetic=self.synthetic)
        names = self.class_names
        outputs = 1 if len(names) == 2 else len(names)
        made = self.synthetic
        return DataSpec("table", "vector", (self.features,), "classes", outputs, class_names=names, synthetic=made)

    def load(self) -> dict[Stage, Split]:
        """Find the file, fetching it if need be, read it, cut it, and learn the means from the training rows."""
        if self.synthetic:
            inputs, values = rows(self.features)
            answers = values[:, None] if self.task == "values" else classes_of(values, len(self.class_names))
            return self._cut(Split(inputs, answers), self.preprocessing)
        path = find_csv(self.path, self.root, self.md5, self.mirrors, self.download, self.other_file)
        file = read_csv(path, header=self.header, delimiter=self.delimiter)
        check_header(file, {"data.target": [self.target], "data.drop": self.drop})
        target = file.index("data.target", self.target)
        left_out = {target, *(file.index("data.drop", column) for column in self.drop)}
        columns = [column for column in range(file.width) if column not in left_out]
        for column in columns:
            if file.is_row_index(column):
                raise UserError(
                    f"{file.path}, {file.place(column)}: has no name and only counts the rows, as pandas writes an "
                    f"index; leave it out: 'data.drop=[{column}]'"
                )
        if len(columns) != self.features:
            raise UserError(
                f"data.features: {self.features} promised, but {file.path} has {len(columns)} columns beside the "
                f"target ({file.place(target)}); set data.features={len(columns)}"
            )
        inputs = torch.from_numpy(file.numbers(columns, self.missing))  # (rows, features), NaN where missing
        answers = self._values(file, target) if self.task == "values" else self._classes(file, target)
        names = tuple(file.names[column] for column in columns) if file.names else ()
        made = Rows(tuple(columns), file.width, names, self.delimiter, self.missing)
        splits = self._cut(Split(inputs, answers), made)
        self._check_precision(file, columns, inputs)
        assert self.preprocessing.mean is not None
        if empty := self.preprocessing.mean.isnan().nonzero().flatten().tolist():
            place = file.place(columns[empty[0]])
            raise UserError(f"{file.path}, {place}: missing in every training row; leave it out by data.drop")
        return splits

    def state_dict(self) -> dict[str, Any]:
        made = self.preprocessing
        return super().state_dict() | {"names": made.names, "mean": made.mean, "deviation": made.deviation}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the means and deviations that the checkpoint's network learned with, of whatever file they are."""
        super().load_state_dict(state_dict)
        names = state_dict.get("names", self.preprocessing.names)
        if names != self.preprocessing.names:
            found = ", ".join(self.preprocessing.names)
            raise UserError(
                f"data.path: '{self.path}' has the columns {found}; expected {', '.join(names)}, as in training"
            )
        learned = {name: state_dict[name] for name in ("mean", "deviation") if name in state_dict}
        self.preprocessing = replace(self.preprocessing, **learned)

    def _cut(self, examples: Split, rows: Rows) -> dict[Stage, Split]:
        """Cut the rows; learn mean and standard deviation of each column from the training rows."""
        sizes = [max(1, round(share * len(examples.targets))) if share > 0 else 0 for share in self.shares]
        val, test, train = cut(examples, *sizes, seed=self.data_seed)
        mean, std = mean_and_std(train.inputs)
        self.preprocessing = replace(rows, mean=mean, deviation=std if self.standardise else None)
        return {"train": train, "val": val, "test": test}

    def _values(self, file: CsvFile, target: int) -> Tensor:
        """The target as values (rows, 1), in float64."""
        values = file.numbers([target], self.missing)
        if len(gaps := np.isnan(values).nonzero()[0]):
            raise UserError(f"{file.where(gaps[0], target)}: the target is missing; take the row out of the file")
        return torch.from_numpy(values)

    def _classes(self, file: CsvFile, target: int) -> Tensor:
        """Return the target as class indices (rows,)."""
        cells, names = file.cells(target), self.class_names
        for row, cell in enumerate(cells):  # a number can stand for a class even where, elsewhere, it means missing
            if cell in self.missing and cell not in names and math.isnan(number_or_nan(cell)):
                raise UserError(f"{file.where(row, target)}: the target is missing; take the row out of the file")
        found = sorted(set(cells), key=in_order)
        if len({label_key(cell) for cell in found}) == 1:
            raise UserError(f"{file.path}, {file.place(target)}: every row is of class '{found[0]}'; need at least two")
        if not self.named and {number_or_nan(cell) for cell in found} != {*range(len(names))}:
            raise UserError(_other_classes(file, target, found, len(names)))
        return torch.tensor(class_indices(file, target, names))

    def _check_precision(self, file: CsvFile, columns: Sequence[int], inputs: Tensor) -> None:
        """Raise an error if numbers of the file become equal, or infinite, on the way into the network."""
        for column, values in zip(columns, inputs.T, strict=True):
            known = values[~values.isnan()]
            constant = len(known) > 0 and known.min() == known.max()
            if constant and len({label_key(cell) for cell in file.cells(column) if cell not in self.missing}) > 1:
                raise UserError(
                    f"{file.path}, {file.place(column)}: its numbers differ only in digits that 64-bit floats do not "
                    "have; leave it out by data.drop"
                )
        lost = unusable_number(inputs, self.preprocessing.prepare(inputs))
        if lost is None:
            return
        row, column, fault = lost[0], columns[lost[1]], lost[2]
        other = "" if self.standardise else "set data.standardise=true, or "
        raise UserError(
            f"{file.where(row, column)}: {file.rows[row][column]} {fault}; {other}write it into data.missing if it "
            f"stands for a missing number, or leave out {file.place(column)} by data.drop"
        )


def _other_classes(file: CsvFile, target: int, found: Sequence[str], promised: int) -> str:
    """Return what to set if the file has other classes than 0 to `promised` - 1."""
    numbers = sorted({number_or_nan(cell) for cell in found})
    seen = ", ".join(found[:10]) + (", ..." if len(found) > 10 else "")
    wrong = f"{promised} promised, but {file.path}, {file.place(target)}, has {len(found)}: {seen}"
    hint = "; or is this a column of values? (data.task=values)" if len(found) > LABELS_SHOWN else ""
    if numbers == list(range(len(numbers))):
        return f"data.classes: {wrong}; set data.classes={len(numbers)}{hint}"
    if hint:
        return f"data.classes: {wrong}{hint}"
    return f"data.class_names: {file.path}, {file.place(target)}, has {seen}; {listing(file, target)}"
