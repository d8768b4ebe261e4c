"""Standard output of a command with `--json`: one JSON document. All other texts are printed to standard error.

The types of the documents are in `JSON_OUTPUTS` of the module of each command.
"""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TextIO

from trainer.core.standard_streams import STREAMS

JSON_FLAG = "--json"
JsonOutputs = dict[str, tuple[Any, str]]  # type of the document and its meaning by command


@dataclass(frozen=True)
class WrittenFiles:
    """Files that a command has written.

    Args:
        files: Their paths.
    """

    files: list[Path]


_STDOUT = STREAMS.index("stdout")
_STDERR = STREAMS.index("stderr")
_documents: list[TextIO] = []  # the stream of documents, while standard output is redirected


@contextmanager
def reserve_stdout() -> Iterator[None]:
    """Print to standard error in the block, also from other processes, except for `print_json`."""
    sys.stdout.flush()
    with (
        open(os.dup(_STDOUT), "w", encoding="utf-8", errors="backslashreplace") as stream,
        redirect_stdout(sys.stderr),
    ):
        os.dup2(_STDERR, _STDOUT)
        _documents.append(stream)
        try:
            yield
        finally:
            _documents.remove(stream)
            os.dup2(stream.fileno(), _STDOUT)


def print_json(value: Any) -> None:
    """Print plain values, dataclasses and paths as JSON.

    Numbers that are not finite, which JSON lacks, are printed as null.
    """
    text = json.dumps(_to_plain(value), indent=2, ensure_ascii=False, allow_nan=False, default=str)
    print(text, file=_documents[-1] if _documents else None, flush=True)


def _to_plain(value: Any) -> Any:
    """Return mappings for dataclasses, lists for tuples, and None for numbers that are not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        return {name: _to_plain(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
