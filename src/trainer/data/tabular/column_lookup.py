"""Search for the input columns of a network in another table than that of the training."""

from collections.abc import Sequence

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.tables.text_table import TextTable
from trainer.data.tabular.columns import Column


def find_input_columns(table: TextTable, inputs: Sequence[Column], names: Sequence[str], width: int) -> list[int]:
    """Return the index of each input column in the first rows of a table.

    Args:
        table: The rows.
        inputs: Input columns.
        names: Column names of the training file; empty if it has none.
        width: Number of columns of the training file.

    Raises:
        UserError: If a column is missing; the message names all missing ones.
    """
    expected = [column.name for column in inputs]
    if names and len({*expected}) == len(expected):
        _check_names(table, expected)
        return [table.names.index(name) for name in expected]
    # the target column is optional
    indices = [column.index for column in inputs] if table.width == width else [*range(table.width)]
    if len(indices) != len(expected):
        training = "" if width == len(expected) else f", or {width} as in the training file"
        message = f"{table.locate_header()}: {table.width} columns, but the network takes {len(expected)}"
        raise UserError(message + training)
    if names and expected != [table.names[index] for index in indices]:
        listed = f"{', '.join(table.names)}; expected {', '.join(expected)}"
        raise UserError(f"{table.locate_header()}: columns {listed}, as in training")
    return indices


def _check_names(table: TextTable, expected: Sequence[str]) -> None:
    missing = [name for name in expected if name not in table.names]
    if missing:
        similar = did_you_mean(missing[0], table.names)
        others = f", of {len(missing)} that are missing: {', '.join(missing)}" if len(missing) > 1 else ""
        hint = "; the first line must contain the column names" if len(missing) == len(expected) else ""
        raise UserError(f"{table.locate_header()}: no column '{missing[0]}'{others}{similar}{hint}")
    for name in expected:
        if table.names.count(name) > 1:
            raise UserError(f"{table.locate_header()}: several columns '{name}'; rename or remove one")
