"""Outputs of a `predict_step` of any form as one record per example."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from trainer.core.errors import UserError

Record = dict[str, Any]
HINT = "--to=FILE.pt writes outputs of any form"


def iter_records(loaders: Sequence[Sequence[Any]]) -> Iterator[Record]:
    """Yield a record for each example: its row, the index of its loader if there are several, and its outputs.

    Args:
        loaders: Outputs of each batch, of each loader.

    Raises:
        UserError: An output has no entry per example.
    """
    for loader, outputs in enumerate(loaders):
        row = 0
        for output in outputs:
            columns = {name: _split_examples(value) for name, value in _list_columns(output).items()}
            sizes = {len(values) for values in columns.values()}
            if len(sizes) != 1:
                raise UserError(f"predict: predict_step returned outputs of {sorted(sizes)} examples\n  {HINT}")
            for values in zip(*columns.values(), strict=True):
                head = {"loader": loader, "row": row} if len(loaders) > 1 else {"row": row}
                yield head | dict(zip(columns, values, strict=True))
                row += 1


def _list_columns(output: Any) -> dict[str, Any]:
    """Return the outputs of a batch by name; those of a tuple are numbered."""
    if isinstance(output, Mapping):
        return {str(name): value for name, value in output.items()}
    if hasattr(output, "_asdict"):  # a named tuple
        return dict(output._asdict())
    if isinstance(output, tuple):
        return {f"output_{number}": value for number, value in enumerate(output, 1)}
    return {"value": output}


def _split_examples(value: Any) -> list[Any]:
    """Return a number, a text or a list of numbers for each example."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().float() if value.dtype == torch.bfloat16 else value.detach().cpu()
    if isinstance(value, torch.Tensor | np.ndarray):
        values = value.tolist()
        return values if isinstance(values, list) else [values]
    if isinstance(value, list):
        return [_to_plain(item) for item in value]
    if isinstance(value, int | float | str):
        return [value]
    raise UserError(
        f"predict: predict_step returned {type(value).__name__}; expected tensors, numbers or texts\n  {HINT}"
    )


def _to_plain(item: Any) -> Any:
    if isinstance(item, int | float | str):
        return item
    values = _split_examples(item)
    return values[0] if isinstance(item, torch.Tensor | np.ndarray) and not item.shape else values
