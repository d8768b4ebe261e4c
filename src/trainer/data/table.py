"""Data set of the rows of a table in a CSV, Parquet, Feather, Excel or JSON lines file."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Fraction, Target
from trainer.data.base import TensorData, count_outputs
from trainer.data.io.tables.dialect_detection import DialectSettings
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.folds import refuse_own_splits
from trainer.data.loading.split import Split, Stage
from trainer.data.preprocessing.tabular import TabularPreprocessing, make_passthrough
from trainer.data.synthetic import assign_quantile_classes, make_regression
from trainer.data.tabular.columns import ColumnKind
from trainer.data.tabular.description import describe_inspection, list_settings
from trainer.data.tabular.file_splits import fit_statistics, read_splits
from trainer.data.tabular.inspection import Inspection
from trainer.data.tabular.inspection_cache import inspect_with_cache
from trainer.data.tabular.layout import make_layout
from trainer.data.tabular.settings import make_settings
from trainer.data.tabular.splitting import SplitSettings, choose_repeats, cut_rows, split_rows, warn_of_missing_classes
from trainer.data.tabular.table_source import TableSource
from trainer.data.tabular.targets import TargetSettings

log = logging.getLogger(__name__)

MISSING: tuple[str, ...] = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "\\N", "None", "?", "<NA>")
MISSING += ("#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!")  # of Excel


class Table(TensorData):
    """A table, split into training, validation and test.

    The format of the file and the types of its columns are detected. Missing numbers become the mean of the training
    rows, with an indicator as a further input; categories become one-hot vectors; dates become days and positions in
    the year, week and day; texts become counts of hashed words. Identifiers, constant and empty columns are left out.

    Args:
        path: The file, which may be compressed; see `find_path`. An http(s) URL is downloaded to `dir` once.
        target: Name or index of the target column; negative indices count from the end. Several values are a list.
        val_path, test_path: Files with the rows for validation and test; None takes them from `path`.
        dir, md5, mirrors, download: Data root and source of a missing file; see `fetch_path`.
        header: Whether the first line contains the column names. None detects it, as in the following settings.
        delimiter: Delimiter of the cells, one character, or `whitespace`.
        encoding: Encoding of the text, such as `utf-8`.
        skipped_lines: Number of lines above the table.
        sheet: Sheet of an Excel file; "" is the first one.
        columns: Type of each column, see `ColumnKind`, or all its fields, as in the config of a run.
        task: Kind of target: `"classification"` or `"regression"`.
        class_names: Labels of the classes in the file, or of the indices 0, 1, ... in it; others are an error.
        features: Number of network inputs, for a check without the file.
        drop: Names or indices of columns to leave out.
        group_column: Column of groups, e.g. patients; the rows of a group are in the same split.
        weight_column: Column of weights; training rows are drawn in proportion to them. Metrics are not weighted.
        missing: Cells that mark a missing value.
        skip_missing_targets: Whether rows without a target are left out. By default they are an error.
        standardize: Whether numbers are scaled to mean 0 and standard deviation 1.
        standardize_target: Whether values are scaled so for the loss; metrics are in the units of the file.
        stratify: Whether all splits have the same proportions of classes.
        synthetic: Whether synthetic rows replace the file.
        val_fraction, test_fraction, data_seed: Fractions of the rows for validation and test, and seed of the split.
        folds, fold: Number of folds of a cross-validation, and the fold that is the test split; see `make_fold`.
        repeats: Number of passes over the training rows in an epoch. None: so many that an epoch has about 50 steps.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.
    """

    checksum_hint = "data.md5=''"  # the setting that reads a file with another checksum
    _fitted: TabularPreprocessing | None = None  # set by `load`

    def __init__(
        self,
        *,
        path: str,
        target: str | int | Sequence[str | int] = -1,
        val_path: str | None = None,
        test_path: str | None = None,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        md5: str = "",
        mirrors: Sequence[str] = (),
        download: bool = True,
        header: bool | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        skipped_lines: int | None = None,
        sheet: str = "",
        columns: Mapping[str | int, ColumnKind | Mapping[str, Any]] | None = None,
        task: Target | None = None,
        class_names: Sequence[str | int] = (),
        features: int | None = None,
        drop: str | int | Sequence[str | int] = (),
        group_column: str | int | None = None,
        weight_column: str | int | None = None,
        missing: str | Sequence[str] = MISSING,
        skip_missing_targets: bool = False,
        standardize: bool = True,
        standardize_target: bool = True,
        stratify: bool = True,
        synthetic: bool = False,
        val_fraction: Fraction = 0.2,
        test_fraction: Fraction = 0.2,
        folds: int | None = None,
        fold: int = 0,
        data_seed: int = 0,
        repeats: int | None = None,
        sampling: Sampling = None,
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed, repeats=repeats)
        self.sampling = sampling
        self.source = TableSource(path, val_path, test_path, Path(dir), md5, mirrors, download, self.checksum_hint)
        dialect = DialectSettings(delimiter, encoding, header, skipped_lines, sheet)
        self.settings = make_settings(dialect, target, drop, columns or {}, group_column, weight_column, missing)
        self.target_settings = TargetSettings(task, (*map(str, class_names),), skip_missing_targets, standardize_target)
        self.split = SplitSettings({"val": val_fraction, "test": test_fraction}, data_seed, stratify, folds, fold)
        self.features = _validate_features(features)
        self.standardize = standardize
        self.synthetic = synthetic

    @cached_property
    def inspection(self) -> Inspection | None:
        """Result of the inspection of the file; None if it does not exist yet, or synthetic rows replace it."""
        refuse_own_splits(self.split.test_fold, self.source.others)
        if self.synthetic:
            return None
        file = self.source.fetch() if self.source.is_url and self.features is None else self.source.find()
        return inspect_with_cache(file, self.settings, self.source.cache) if file else None

    @property
    def task(self) -> Target:
        """Kind of target."""
        return self.target_settings.find_task(self.inspection)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names; empty for regression."""
        return self.target_settings.find_class_names(self.inspection)

    @property
    def standardize_target(self) -> bool:  # type: ignore[override]  # read-only
        """True if values are scaled for the loss."""
        return self.target_settings.standardize

    @property
    def spec(self) -> DataSpec:
        """Numbers; classes, or values. From the file if it exists, else from `features`, `task` and the classes."""
        layout = self._layout
        outputs = count_outputs(self.class_names) if self.class_names else len(self.settings.targets)
        return DataSpec(
            "table",
            "vector",
            (layout.input_size,),
            self.task,
            outputs,
            self.class_names,
            synthetic=self.synthetic,
            categories=layout.category_groups,
        )

    @property
    def preprocessing(self) -> TabularPreprocessing:  # type: ignore[override]  # read-only
        """Preprocessing, after `load` with the statistics of the training rows."""
        return self._fitted or self._layout

    @property
    def inferred_settings(self) -> dict[str, Any]:
        """Task, classes and types of the columns."""
        if self.inspection is None:
            return {}
        return list_settings(self.inspection) | {"task": self.task, "class_names": [*self.class_names]}

    @cached_property
    def _layout(self) -> TabularPreprocessing:
        """Preprocessing without statistics."""
        if self.inspection is None:
            if self.settings.columns and not self.synthetic:  # of an earlier inspection
                return make_layout(None, self.settings)
            if self.features is None:
                message = self.source.explain_missing()
                raise UserError(f"{message}\n  Without a file: data.synthetic=true data.features=NUMBER")
            return make_passthrough(self.features)
        layout = make_layout(self.inspection, self.settings)
        if self.features not in (None, layout.input_size):
            raise UserError(
                f"data.features: {self.features} expected, but {self.source.path} has {layout.input_size} inputs of "
                "the network; leave it out"
            )
        return layout

    def load(self) -> dict[Stage, Split]:
        """Read the file, split the rows, and compute the statistics of the training rows."""
        if self.synthetic:
            return self._load_synthetic()
        path = self.source.fetch()
        if self.inspection is None:  # the file has been downloaded
            self.inspection = inspect_with_cache(path, self.settings, self.source.cache)
            vars(self).pop("_layout", None)  # it was that of `features`
        log.info(describe_inspection(self.inspection, self.class_names))
        splits, self._fitted, self.sample_weights = read_splits(
            self.inspection,
            self.settings,
            self._layout,
            self.split,
            self.source.others,
            class_names=self.class_names,
            skip_missing_targets=self.target_settings.skip_missing,
            standardize=self.standardize,
        )
        if self.repeats is None:
            self.repeats = choose_repeats(len(splits["train"].targets), self.batch_size)
        warn_of_missing_classes(splits, self.class_names)
        return splits

    def _load_synthetic(self) -> dict[Stage, Split]:
        inputs, values = make_regression(self._layout.input_size)
        is_regression = self.task == "regression"
        targets = values[:, None] if is_regression else assign_quantile_classes(values, len(self.class_names))
        splits, _ = cut_rows(Split(inputs, targets), split_rows(targets, self.split))
        self._fitted = fit_statistics(self._layout, splits["train"].inputs, self.standardize)
        return splits

    def state_dict(self) -> dict[str, Any]:
        fields = self.preprocessing
        names = [column.name for column in fields.inputs]
        return super().state_dict() | {"names": names, "mean": fields.mean, "std": fields.std, "known": fields.known}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the column statistics that the network was trained with, also for another file."""
        super().load_state_dict(state_dict)
        names = [column.name for column in self.preprocessing.inputs]
        expected = state_dict.get("names", names)
        if [*expected] != names:
            message = f"data.path: '{self.source.path}' has the columns {', '.join(names)}"
            raise UserError(f"{message}; expected {', '.join(expected)}, as in training")
        statistics = {name: state_dict[name] for name in ("mean", "std", "known") if name in state_dict}
        self._fitted = replace(self.preprocessing, **statistics)


def _validate_features(features: int | None) -> int | None:
    """Return a number of network inputs; raise a `UserError` if it is below 1."""
    if features is not None and features < 1:
        raise UserError("data.features: must be at least 1")
    return features
