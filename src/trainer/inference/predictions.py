"""Predictions for examples, and the columns that they are written in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.core.errors import UserError
from trainer.core.result_table import ResultTable
from trainer.inference.prediction_records import HINT, Record

if TYPE_CHECKING:
    import pandas

FILE_SUFFIX = "_in_file"  # of a column of the file with the name of a column of the output
COLUMN_PREFIXES = {"probabilities": "p", "scores": "score", "values": "value"}


@dataclass(frozen=True)
class Prediction:
    """Prediction for an example.

    Args:
        source: File of the example, or the sentence itself; "" for a tensor.
        row: Line in the file (from 1) or index in the tensor; None if the file is a single example.
        label: Predicted class; None for regression.
        probabilities: Probability of each class by name; empty for regression.
        values: Predicted values in the units of the training file; empty for classification.
        facts: Known values of the example, e.g. its last price and day.
    """

    source: str
    row: int | None
    label: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def probability(self) -> float:
        """Return the probability of the predicted class."""
        return self.probabilities[self.label or ""]

    @property
    def value(self) -> float:
        """Return the first value."""
        return self.values[0]


class Predictions(list[Prediction]):
    """List of predictions, which a notebook shows as a table.

    Args:
        predictions: The predictions.
        build_record: Function that returns the columns of a prediction.
    """

    def __init__(self, predictions: Iterable[Prediction], build_record: Callable[[Prediction], Record]) -> None:
        super().__init__(predictions)
        self._build_record = build_record

    def to_frame(self) -> "pandas.DataFrame":
        """Return a data frame of pandas with the columns that `trainer predict` writes; empty ones are left out.

        Raises:
            UserError: pandas is not installed.
        """
        return _make_table(dict(flatten_record(self._build_record(item))) for item in self).to_frame()

    def __repr__(self) -> str:
        """Return the first and last predictions as a table."""
        return repr(self._summary())

    def _repr_html_(self) -> str:
        return self._summary()._repr_html_()

    def _summary(self) -> ResultTable:
        """Return source, row, and the class with its probability, or else the values."""
        return _make_table(
            {"source": item.source, "row": item.row}
            | ({"class": item.label, "probability": item.probability} if item.label is not None else {})
            | {f"value_{index}": value for index, value in enumerate(item.values, 1)}
            for item in self
        )


def _make_table(rows: Iterable[dict[str, Any]]) -> ResultTable:
    """Return a table of rows, without sources and row numbers if no row has one."""
    table = ResultTable.from_rows(rows)
    empty = [name for name in ("source", "row") if all(value in (None, "") for value in table.get(name, []))]
    return ResultTable({name: values for name, values in table.items() if name not in empty})


def build_record(prediction: Prediction, value_names: Sequence[str], *, has_probabilities: bool) -> Record:
    """Return source, row, known facts and prediction of one example.

    A fact with the name of another column, such as `class`, is a column of the file, and becomes `class_in_file`.

    Args:
        prediction: The prediction.
        value_names: Names of the predicted values; they are numbered without names.
        has_probabilities: Whether the numbers of the classes are probabilities, and not scores that only rank.
    """
    head = {"source": prediction.source, "row": prediction.row}
    outputs = _list_outputs(prediction, value_names, has_probabilities=has_probabilities)
    names = {*head, *outputs, *dict(flatten_record(outputs))}
    facts: Record = {}
    for name, value in prediction.facts.items():
        unique = name
        while unique in names or (unique != name and unique in prediction.facts):
            unique += FILE_SUFFIX
        facts[unique] = value
    return {**head, **facts, **outputs}


def _list_outputs(prediction: Prediction, names: Sequence[str], *, has_probabilities: bool) -> Record:
    """Return the columns of a prediction."""
    if prediction.label is None:
        values = prediction.values
        if len(values) == 1:
            return {"value": values[0]}
        return {"values": dict(zip(names, values, strict=True)) if names else [*values]}
    key = "probabilities" if has_probabilities else "scores"
    return {"class": prediction.label, key: prediction.probabilities}


def flatten_record(record: Record) -> Iterator[tuple[str, Any]]:
    """Yield a record with one column for each class or value: `p_NAME`, `score_NAME`, `value_NAME`, `value_1`.

    Raises:
        UserError: A value has more than one dimension.
    """
    for name, value in record.items():
        if isinstance(value, dict):
            yield from ((f"{COLUMN_PREFIXES[name]}_{label}", number) for label, number in value.items())
        elif isinstance(value, list):
            if any(isinstance(number, list) for number in value):
                raise UserError(
                    f"predict: '{name}' of an example has several dimensions\n  {HINT}, --to=FILE.jsonl lists"
                )
            yield from (
                (f"{'value' if name == 'values' else name}_{index}", number) for index, number in enumerate(value, 1)
            )
        else:
            yield name, value
