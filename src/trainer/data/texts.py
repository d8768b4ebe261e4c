"""Data set of texts with classes from any table, or from directories with one directory per class."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from trainer.core.errors import UserError
from trainer.core.spec import Fraction
from trainer.data.io.data_path import explain_missing_path, fetch_path, find_path
from trainer.data.io.tables.class_labels import validate_class_names
from trainer.data.io.tables.dialect_detection import DialectSettings
from trainer.data.io.texts.html_text import contains_html, strip_html
from trainer.data.io.texts.labeled_texts import LabeledTexts
from trainer.data.io.texts.text_directories import TextDirectories
from trainer.data.io.texts.text_source import RawTexts, TextSource
from trainer.data.io.texts.text_tables import TextTables
from trainer.data.io.texts.tokenization import Keep, TokenKind, choose_tokens
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.folds import make_fold, refuse_own_splits
from trainer.data.loading.split import Split, Stage
from trainer.data.loading.text_split import split_texts
from trainer.data.synthetic import make_texts
from trainer.data.text_base import TextData

log = logging.getLogger(__name__)

SYNTHETIC_CLASSES = ("negative", "positive")
NUM_SYNTHETIC_VAL_TEXTS = 500
MAX_LOGGED_CLASSES = 20


class Texts(TextData):
    """Your texts as token indices; columns, classes, language and format are found in the files.

    Each class is split at random after dropping duplicates, so that no text is in two splits. Files of validation and
    test are used as they are; training texts that are also in them are dropped.

    Args:
        path: Table of texts and labels: CSV or another format; or directory with `CLASS/*.txt`, or with
            `train/CLASS/*.txt` and likewise `val` and `test`. Relative to the working directory or to `dir`, or
            absolute.
        val_path, test_path: Tables for validation and test. None splits them off the training texts.
        dir: Root of the data sets.
        md5: Checksum of the file, as md5sum prints it. Required for a URL.
        text_column, label_column: Names or indices of the columns of a table. None infers them from their names and
            contents.
        class_names: Labels of the classes, in any case; other labels are an error. Empty infers them from the training
            file, in their natural order.
        header: Whether the first line of a table contains the column names. None detects it.
        delimiter: Delimiter of a table, one character. None detects it.
        encoding: Encoding of the files. None detects it.
        sheet: Name of the sheet of an Excel file; "" is the first one.
        skip_missing: Whether rows without text or label are left out; otherwise they are an error.
        html: Whether tags and entities of HTML are replaced; `"auto"` if at least 1 % of the training texts have some.
        tokens: Kind of the tokens: `"words"`, `"characters"`, `"subwords"` (byte-pair encoding); `"auto"` is characters
            if most letters of the training texts are Chinese, Japanese, Thai, Lao, Burmese or Khmer, else words.
        vocabulary_size, max_length, keep, synthetic: See `TextData`.
        val_fraction, test_fraction: Fractions of each class for validation and test, if they have no files.
        folds, fold: Number of folds of a cross-validation, and the fold that is the test split; see `make_fold`.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.
    """

    name = "texts"

    def __init__(
        self,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        md5: str = "",
        text_column: str | int | None = None,
        label_column: str | int | None = None,
        class_names: Sequence[str | int] = (),
        header: bool | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        sheet: str = "",
        skip_missing: bool = False,
        html: bool | Literal["auto"] = "auto",
        tokens: Literal["auto", "words", "characters", "subwords"] = "auto",
        vocabulary_size: int = 20_000,
        max_length: int = 400,
        keep: Keep = "start",
        synthetic: bool = False,
        val_fraction: Fraction = 0.2,
        test_fraction: Fraction = 0.2,
        folds: int | None = None,
        fold: int = 0,
        data_seed: int = 0,
        sampling: Sampling = None,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        limits = {"vocabulary_size": vocabulary_size, "max_length": max_length}
        loading = {"batch_size": batch_size, "eval_batch_size": eval_batch_size, "seed": seed}
        kind = "words" if tokens == "auto" else tokens
        super().__init__(dir=dir, tokens=kind, keep=keep, synthetic=synthetic, sampling=sampling, **limits, **loading)
        self.paths: dict[Stage, str] = {"train": path, "val": val_path or "", "test": test_path or ""}
        self.md5 = md5
        self.columns = {"text_column": text_column, "label_column": label_column}
        self.listed_names = _parse_class_names(class_names)
        self.dialect = DialectSettings(delimiter, encoding, header, sheet=sheet)
        self.skip_missing = skip_missing
        self.html = html
        self.tokens = tokens
        self.fractions: dict[Stage, float] = {"val": val_fraction, "test": test_fraction}
        self.data_seed = data_seed
        self.fold = make_fold(folds, fold)
        refuse_own_splits(self.fold, [stage for stage in self.fractions if synthetic or self.paths[stage]])

    @cached_property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]  # read-only
        """Names of the classes, from the settings or from the training file."""
        return self.listed_names or (SYNTHETIC_CLASSES if self.synthetic else self._source.class_names)

    @property
    def inferred_settings(self) -> dict[str, Any]:
        """Columns, classes, kind of tokens and whether the texts are HTML."""
        if self.synthetic or not find_path(self.paths["train"], self.root).exists():
            return {}
        inferred: dict[str, Any] = {
            **self._columns,
            "class_names": [*self.class_names],
            "html": self._is_html,
            "tokens": self._token_kind,
        }
        is_open = {
            **{key: column is None for key, column in self.columns.items()},
            "class_names": not self.listed_names,
            "html": self.html == "auto",
            "tokens": self.tokens == "auto",
        }
        return {key: value for key, value in inferred.items() if is_open[key]}

    def load(self) -> dict[Stage, Split]:
        """Read and split the texts, build the training vocabulary, and encode all texts."""
        texts = self._read_synthetic() if self.synthetic else self._read_splits()
        self._log_splits(texts)
        return self._encode_splits(texts, f"{self.name}-{self.preprocessing.tokens}")

    def _read_synthetic(self) -> dict[Stage, LabeledTexts]:
        texts = make_texts(len(self.class_names), NUM_SYNTHETIC_VAL_TEXTS)
        return {stage: LabeledTexts(*columns) for stage, columns in texts.items()}

    def _read_splits(self) -> dict[Stage, LabeledTexts]:
        """Read the files, remove HTML, and split the texts."""
        column = self._columns.get("text_column", 0)
        self.preprocessing = replace(
            self.preprocessing,
            tokens=self._token_kind,
            html=self._is_html,
            text_column=column,
            header=self._source.has_header,
        )
        class_names = self.class_names
        raw = self._raw
        del self._raw, self._source  # the texts as in the files are not needed again
        rows = " + ".join(f"{len(part.texts):,}" for part in raw.values())
        found = "".join(f", {key.replace('_', ' ')} {value!r}" for key, value in self._columns.items())
        log.info("texts: %s, %s texts%s%s", self.paths["train"], rows, found, ", HTML" if self._is_html else "")
        if self._is_html:
            raw = {stage: replace(part, texts=[*map(strip_html, part.texts)]) for stage, part in raw.items()}
        texts = {stage: part.clean(class_names, self.skip_missing) for stage, part in raw.items()}
        return split_texts(texts, self.fractions, self.fold, class_names, self.data_seed)

    def _log_splits(self, texts: dict[Stage, LabeledTexts]) -> None:
        """Log classes and sizes; warn of classes that a split does not have."""
        counts = {stage: Counter(part.classes) for stage, part in texts.items()}
        total = sum(counts.values(), Counter[int]())
        names = self.class_names
        if len(total) == 1:
            [index] = total
            raise UserError(f"data.path: every text is of class '{names[index]}'; need at least two classes")
        sizes = ", ".join(f"{stage} {part.total():,}" for stage, part in counts.items())
        classes = ", ".join(f"{name} ({total[index]:,})" for index, name in enumerate(names[:MAX_LOGGED_CLASSES]))
        more = f" and {len(names) - MAX_LOGGED_CLASSES} more" if len(names) > MAX_LOGGED_CLASSES else ""
        log.info("texts: classes %s%s; %s; tokens are %s", classes, more, sizes, self.preprocessing.tokens)
        for stage, part in counts.items():
            missing = [name for index, name in enumerate(names) if not part[index]]
            if missing:
                log.warning("%s has no text of class %s", stage, ", ".join(map(repr, missing)))

    @cached_property
    def _source(self) -> TextSource:
        path = find_path(self.paths["train"], self.root)
        if path.is_dir():
            for stage in self.fractions:
                if self.paths[stage]:
                    raise UserError(
                        f"data.{stage}_path: data.path is a directory; put the texts in {path / stage}/CLASS"
                    )
            table = {**self.columns, **vars(self.dialect), "encoding": None}
            return TextDirectories(path, self.listed_names or None, self.dialect.encoding, table)
        files: dict[Stage, Path] = {"train": fetch_path(self.paths["train"], self.root, self.md5)}
        for stage in self.fractions:
            if self.paths[stage]:
                files[stage] = find_path(self.paths[stage], self.root)
                if not files[stage].is_file():
                    message = explain_missing_path(self.paths[stage], self.root, "file")
                    raise UserError(message.replace("data.path", f"data.{stage}_path"))
        return TextTables(files, self.dialect, **self.columns)

    @cached_property
    def _columns(self) -> dict[str, str | int]:
        return self._source.columns

    @cached_property
    def _raw(self) -> dict[Stage, RawTexts]:
        return self._source.read()

    @cached_property
    def _is_html(self) -> bool:
        return contains_html(self._raw["train"].texts) if self.html == "auto" else self.html

    @cached_property
    def _token_kind(self) -> TokenKind:
        if self.tokens != "auto":
            return self.tokens
        return choose_tokens(strip_html(text) if self._is_html else text for text in self._raw["train"].texts)


def _parse_class_names(class_names: Sequence[str | int]) -> tuple[str, ...]:
    names = tuple(str(name).strip() for name in class_names)
    validate_class_names(names)
    if len(names) == 1:
        raise UserError("data.class_names: expected at least 2, or [] for those in the file")
    return names
