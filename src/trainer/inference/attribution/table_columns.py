"""Columns of a table, each with its network inputs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from trainer.core.spec import DataSpec
from trainer.data.preprocessing.tabular import TabularPreprocessing
from trainer.data.tabular.encoding import count_slots


class ColumnFeatures(NamedTuple):
    """Name of a column and the indices of its network inputs."""

    name: str
    features: Sequence[int]


def list_columns(preprocessing: Any, spec: DataSpec) -> list[ColumnFeatures]:
    """Return the columns of the file in their order; with another preprocessing, each feature and each one-hot vector.

    Args:
        preprocessing: Preprocessing of the data set; None if it has none.
        spec: Specification of the data set: vectors.
    """
    if isinstance(preprocessing, TabularPreprocessing):
        return _list_file_columns(preprocessing)
    vectors = {start: range(start, start + size) for start, size in spec.categories}
    hidden = {index for vector in vectors.values() for index in vector[1:]}
    starts = [index for index in range(spec.shape[0]) if index not in hidden]
    return [ColumnFeatures(f"feature {start}", vectors.get(start, [start])) for start in starts]


def _list_file_columns(preprocessing: TabularPreprocessing) -> list[ColumnFeatures]:
    """Return the columns with numbers, indicators of missing numbers and one-hot vectors, in the order of `prepare`."""
    numbers = preprocessing.number_columns
    owners = [*numbers, *(numbers[index] for index in preprocessing.indicated)]
    owners += [column for column in preprocessing.categories for _ in range(count_slots(column))]
    return [
        ColumnFeatures(
            column.name or f"column {column.index}",
            [feature for feature, owner in enumerate(owners) if owner is column],
        )
        for column in preprocessing.inputs
    ]
