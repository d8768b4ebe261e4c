"""Splits of the rows of files, with the statistics of the training rows."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.loading.split import Split, Stage
from trainer.data.preprocessing.float_range import mean_and_std
from trainer.data.preprocessing.tabular import TabularPreprocessing
from trainer.data.tabular.checks import check_numbers, find_leak
from trainer.data.tabular.encoding import count_slots
from trainer.data.tabular.inspection import Inspection, InspectionSettings
from trainer.data.tabular.rows import Rows, read_rows
from trainer.data.tabular.splitting import SplitSettings, cut_rows, split_rows

log = logging.getLogger(__name__)


class TableSplits(NamedTuple):
    """Splits of a table, the preprocessing with the statistics of the training rows, and their weights."""

    splits: dict[Stage, Split]
    preprocessing: TabularPreprocessing
    weights: Tensor | None


def read_splits(
    inspection: Inspection,
    settings: InspectionSettings,
    preprocessing: TabularPreprocessing,
    split: SplitSettings,
    other_files: Mapping[Stage, Path],
    *,
    class_names: Sequence[str],
    skip_missing_targets: bool,
    standardize: bool,
) -> TableSplits:
    """Return the splits, and what follows from the training rows.

    Args:
        inspection: Inspection of the file of the training rows.
        settings: Settings of the inspection.
        preprocessing: Preprocessing without statistics.
        split: Settings of the split.
        other_files: Files with the rows of other splits; the others are cut from the inspected file.
        class_names: Class names; empty for regression.
        skip_missing_targets: Whether rows without a target are left out.
        standardize: Whether numbers are standardized.

    Raises:
        UserError: If a file is invalid, or a number cannot be used; the message names its line.
    """
    read = partial(
        read_rows,
        inspection=inspection,
        settings=settings,
        preprocessing=preprocessing,
        class_names=class_names,
        skip_missing_targets=skip_missing_targets,
    )
    rows = read(inspection.path)
    others = {stage: read(_check_file(stage, path)) for stage, path in other_files.items()}
    parts = split_rows(rows.targets, split.without(others), rows.groups)
    splits, order = cut_rows(Split(rows.inputs, rows.targets), parts)
    splits |= {stage: Split(other.inputs, other.targets) for stage, other in others.items()}
    fitted = fit_statistics(preprocessing, splits["train"].inputs, standardize)
    check_numbers(rows, rows.inputs, order, fitted)
    for other in others.values():
        check_numbers(other, other.inputs, None, fitted)
    if leak := find_leak(*splits["train"], fitted):
        log.warning(
            f"warning: {inspection.path}: column '{leak}' alone determines the target; if it is not known in practice, "
            f"leave it out: 'data.drop=[{leak}]'"
        )
    weights = _select_weights(rows, parts["train"])
    return TableSplits({stage: splits[stage] for stage in ("train", "val", "test")}, fitted, weights)


def _select_weights(rows: Rows, part: Tensor) -> Tensor | None:
    """Return the weights of the training rows, or None if there are none."""
    weights = None if rows.weights is None else rows.weights[part]
    if weights is not None and not weights.any():
        raise UserError(f"data.weight_column: {rows.table.path}: every training row has the weight 0")
    return weights


def _check_file(stage: Stage, path: Path) -> Path:
    """Return the path of the file of a split; raise an error if it is missing."""
    if not path.is_file():
        raise UserError(f"data.{stage}_path: no file '{path}'")
    return path


def fit_statistics(preprocessing: TabularPreprocessing, inputs: Tensor, standardize: bool) -> TabularPreprocessing:
    """Return a preprocessing with the statistics of training rows.

    Args:
        preprocessing: Preprocessing without statistics.
        inputs: Stored training inputs (rows, numbers + categories).
        standardize: Whether numbers are standardized; the hashed words of texts never are.
    """
    columns = preprocessing.number_columns
    pairs = [mean_and_std(inputs[:, number : number + 1]) for number in range(len(columns))]
    is_text = torch.tensor([column.kind == "text" for column in columns], dtype=torch.bool)
    mean = torch.cat([mean for mean, _ in pairs]) if pairs else torch.empty(0, dtype=torch.float64)
    std = torch.cat([std for _, std in pairs]) if pairs else torch.empty(0, dtype=torch.float64)
    codes = [
        torch.zeros(count_slots(column)).index_fill_(0, torch.unique(inputs[:, len(columns) + number].long()), 1.0)
        for number, column in enumerate(preprocessing.categories)
    ]
    return replace(
        preprocessing,
        mean=mean.masked_fill(is_text, 0.0),
        std=std.masked_fill(is_text, 1.0) if standardize else None,
        known=torch.cat(codes) if codes else None,
    )
