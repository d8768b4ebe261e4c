"""Source of the rows of a table, with files for validation and test if there are any."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.io.data_path import explain_missing_path, fetch_path, find_path, is_url
from trainer.data.loading.split import Stage


@dataclass(frozen=True)
class TableSource:
    """Paths of the files, and the source of a missing one.

    Args:
        path: File of the training rows; see `find_path`.
        val_path, test_path: Files with the rows for validation and test; None takes them from `path`.
        root: The data root.
        md5, mirrors, download, checksum_hint: See `fetch_path`.
    """

    path: str
    val_path: str | None
    test_path: str | None
    root: Path
    md5: str
    mirrors: Sequence[str]
    download: bool
    checksum_hint: str

    @property
    def cache(self) -> Path:
        """Directory of cached inspections."""
        return self.root / ".cache"

    @property
    def is_url(self) -> bool:
        """True if the file is downloaded from the URL of the user."""
        return is_url(self.path)

    @property
    def others(self) -> dict[Stage, Path]:
        """Files of validation and test."""
        paths: dict[Stage, str | None] = {"val": self.val_path, "test": self.test_path}
        return {stage: find_path(path, self.root) for stage, path in paths.items() if path}

    def find(self) -> Path | None:
        """Return the path of the file, or None if it does not exist."""
        file = find_path(self.path, self.root)
        return file if file.is_file() else None

    def fetch(self) -> Path:
        """Return the path of the file; download it first if it is missing."""
        return fetch_path(self.path, self.root, self.md5, self.mirrors, self.download, self.checksum_hint)

    def explain_missing(self) -> str:
        """Return the message for a file that does not exist."""
        return explain_missing_path(self.path, self.root, "file")
