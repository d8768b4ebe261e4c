"""Users' texts in directories with one directory per class."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError, did_you_mean
from trainer.core.override_format import format_list_override, format_override
from trainer.data.io.directory_walk import classify_file, format_counts, list_subdirectories, log_skipped, walk_files
from trainer.data.io.images.class_folders import find_classes, find_split_directories, parse_split_name
from trainer.data.io.tables.table_file import TABLE_SUFFIXES
from trainer.data.io.texts.labeled_texts import decode_file
from trainer.data.io.texts.text_source import RawTexts, TextSource
from trainer.data.loading.split import Stage

TEXT_SUFFIX = ".txt"
TEXT_SUFFIXES = (TEXT_SUFFIX, ".text", "")  # messages of newsgroups and mails have no suffix


@contextmanager
def _own_setting() -> Iterator[None]:
    """Name the setting of the classes in errors as texts do: image folders have `data.classes`."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("data.classes", "data.class_names")) from None


class TextDirectories(TextSource):
    """Directories `CLASS/*.txt`, or `train/CLASS/*.txt` and likewise for the other splits.

    Args:
        path: The directory.
        listed: Class names in the order of the user; None for all directories.
        encoding: Encoding of the files. None detects it for each file.
        table: Settings of tables by name, which have no effect.

    Raises:
        UserError: If a setting of tables is set.
    """

    def __init__(
        self, path: Path, listed: Sequence[str] | None, encoding: str | None, table: Mapping[str, Any]
    ) -> None:
        for name, value in table.items():
            if value not in (None, ""):
                raise UserError(f"data.{name}: '{path}' is a directory, not a table; leave it out")
        self.path = path
        self.listed = listed
        self.encoding = encoding

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        directories = self._directories
        with _own_setting():
            available = find_classes(directories, listed=self.listed is not None)
        for name in self.listed or ():
            if name not in available:
                raise UserError(f"data.class_names: no directory '{name}'{did_you_mean(name, available)}")
        return tuple(self.listed or available)

    @property
    def columns(self) -> dict[str, Any]:
        return {}

    def read(self) -> dict[Stage, RawTexts]:
        return {stage: self._read_split(directory) for stage, directory in self._directories.items()}

    @cached_property
    def _directories(self) -> dict[Stage, Path]:
        if not list_subdirectories(self.path):
            tables = sorted(file.name for file in self.path.iterdir() if file.name.lower().endswith(TABLE_SUFFIXES))
            tables.sort(key=lambda name: parse_split_name(name.split(".")[0]) != "train")
            hint = f"\n  to read a file in it: {format_override('data.path', self.path / tables[0])}" if tables else ""
            raise UserError(
                f"data.path: no class directories in '{self.path}'; expected one directory per class: "
                f"{self.path}/positive/1{TEXT_SUFFIX} {self.path}/negative/1{TEXT_SUFFIX}{hint}"
            )
        with _own_setting():
            return find_split_directories(self.path, self.listed)

    def _read_split(self, directory: Path) -> RawTexts:
        files: list[Path] = []
        labels: list[str] = []
        skipped: Counter[str] = Counter()
        for name in self.class_names:
            if not (directory / name).is_dir():  # validation and test may lack a class
                continue
            paths = sorted(map(Path, walk_files(directory / name, skipped)))
            texts = [path for path in paths if path.suffix.lower() in TEXT_SUFFIXES]
            unread = Counter(classify_file(path.name) for path in paths if path.suffix.lower() not in TEXT_SUFFIXES)
            skipped.update(unread)
            if not texts:
                found = f" (skipped: {format_counts(unread)})" if unread else ""
                others = [other for other in self.class_names if other != name]
                hint = f", or leave out the class: {format_list_override('data.class_names', others)}"
                raise UserError(
                    f"data.path: no {TEXT_SUFFIX} files in '{directory / name}'{found}; add some"
                    + (hint if len(others) > 1 else "")
                )
            files += texts
            labels += [name] * len(texts)
        unused = {*list_subdirectories(directory)} - {*self.class_names}
        log_skipped(directory, skipped + Counter(f"directory '{name}'" for name in sorted(unused)))
        return RawTexts(
            [decode_file(file, self.encoding) for file in files],
            labels,
            lambda row, is_label: str(files[row]),
            lambda rows, names: [names.index(labels[row]) for row in rows],
        )
