"""Directory with config, provenance and result of a run.

outputs/<experiment or data_model>/<time>_<suffix>/
    config.yaml       complete config                     result.json      state and metrics
    provenance.json   command, commit, versions, machine  code.diff        uncommitted changes
    code/             the user's files outside of git     checkpoints/     best.ckpt, last.ckpt
    metrics.csv       logged values                       tensorboard/     events
    trainer.log       log messages                        .hydra/          files of Hydra
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.change_detection import require_accepted
from trainer.artifacts.code_copies import copy_unversioned
from trainer.artifacts.code_hashes import (
    ImportedFile,
    find_changed_files,
    list_import_directories,
    list_imported_files,
)
from trainer.artifacts.config_signature import sign_code, sign_config
from trainer.artifacts.fingerprint import compute_fingerprint
from trainer.artifacts.loggers import list_event_files, truncate_logs
from trainer.artifacts.provenance import collect_provenance
from trainer.artifacts.resume import (
    find_resume_point,
    has_checkpoint,
    is_finished,
    is_fully_trained,
    log_resume_command,
    require_same_config,
)
from trainer.artifacts.run_lock import run_lock
from trainer.artifacts.run_record import RunRecord, locate_code_files
from trainer.config.environment_values import redact, resolve_for_storage, resolve_values
from trainer.config.schema import find_targets
from trainer.core.atomic_write import atomic_write_text
from trainer.core.errors import Pruned, to_user_error
from trainer.core.formatting import quote_argument
from trainer.core.mappings import nonfinite_to_none

log = logging.getLogger(__name__)


class RunDirectory:
    """Writer of a run's config, provenance and result, used by the first process.

    Args:
        path: Existing directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: dict[str, Any] = {}  # resolved, of plain containers; set by `prepare`
        self.stored_config: dict[str, Any] = {}  # in files: with names of environment variables; set by `prepare`
        self.secrets: dict[str, str] = {}  # texts of environment variables, with those that are stored instead
        self.provenance: dict[str, Any] = {}  # of this start; set by `prepare`
        self.checkpoint: str | None = None  # of a resumed run; set by `prepare`
        self._starts: list[dict[str, Any]] = []  # entries of `provenance.json`, one per start; the last one is this
        self._diff = ""  # content of `code.diff`
        self._code: list[ImportedFile] = []
        self._resume_point: tuple[dict[str, Any], list[Path]] | None = None  # log position, TensorBoard files

    @contextmanager
    def session(self) -> Iterator[dict[str, Any]]:
        """Lock the directory for the block, and write `result.json` when it ends, also after an error.

        Yields:
            dict: Content of `result.json`, to be filled.

        Raises:
            UserError: Another process uses the directory.
        """
        result: dict[str, Any] = {"state": "failed", "metrics": {}}
        started_at = time.monotonic()
        with run_lock(self.path):
            self._is_owner = not (self.path / "config.yaml").is_file()  # of a new run; else set by `_resume`
            try:
                yield result
                result["state"] = "finished"
            except Pruned as error:
                result |= {"state": "pruned", **error.result}
                raise
            except BaseException as error:
                result |= getattr(error, "result", {})  # of a training whose test failed
                if isinstance(error, KeyboardInterrupt | SystemExit):  # Lightning converts Ctrl-C to an exit
                    result["state"] = "interrupted"
                user_error = to_user_error(error, self.config, self.path) if isinstance(error, Exception) else None
                result["error"] = redact(f"{type(error).__name__}: {user_error or error}", self.secrets)
                if user_error:
                    raise user_error from error
                raise
            finally:
                if self._is_owner:
                    self._write_result(result, time.monotonic() - started_at)

    def prepare(self, config: DictConfig, overrides: list[str], result: dict[str, Any]) -> bool:
        """Write `config.yaml`, `provenance.json` and `code.diff` of a new run, or prepare an existing run for resuming.

        Returns:
            bool: Whether the run must be executed; if it is finished, `result` is filled with the old result.

        Raises:
            UserError: The directory contains a run with a different config or different code.
        """
        self.stored_config = resolve_for_storage(config)
        self.config = resolve_values(config)
        self.provenance, self._diff = collect_provenance()
        plain_overrides = OmegaConf.to_container(OmegaConf.create(overrides))  # without resolving `${...}`
        self._starts = [self.provenance | {"overrides": plain_overrides, "run": str(self.path.absolute())}]
        if self._is_owner:
            self._write_start_files()
            return True
        require_same_config(self.path, self.stored_config)
        if is_fully_trained(self.path, self.stored_config):
            result |= RunRecord(self.path).result
            command = f"trainer resume {quote_argument(self.path)} trainer.max_epochs=N"
            log.info(f"'{self.path}' is finished; to train longer: {command}")
            return False
        self._resume()
        return True

    def _resume(self) -> None:
        record = RunRecord(self.path)
        start = self._starts[0]
        last_start = record.starts[-1]
        self._starts = [*record.starts, start]
        start["code_version"] = version = last_start.get("code_version", 1)
        if has_checkpoint(self.path) and not record.code:
            log.info("code   not compared: the run has recorded no hashes")
        elif has_checkpoint(self.path):
            changes = find_changed_files(record.code, last_start.get("code_folders", []))
            self.record_changes(changes)
            start["code_version"] = version + bool(changes)
        self._is_owner = True
        self.checkpoint, position = find_resume_point(self.path)
        self._resume_point = (position, list_event_files(self.path))
        if not is_finished(self.path):
            (self.path / "result.json").unlink(missing_ok=True)

    def record_changes(self, changes: list[str]) -> None:
        """Record changes of code or data since the last start, if the user accepts them.

        Args:
            changes: Descriptions of the changes.

        Raises:
            UserError: There are changes, and `accept_changes` is not set.
        """
        require_accepted(changes, f"the run in '{self.path}'", accepted=bool(self.config.get("accept_changes")))
        if changes and self._starts:
            self._starts[-1].setdefault("accepted_changes", []).extend(changes)

    def commit_resume(self) -> None:
        """Remove the old result and the log entries after the checkpoint, and write the new config and provenance.

        Called by the first process after the first new step, so that a run that cannot be resumed is not changed. Does
        nothing in a new run or if it was called earlier.
        """
        if self._resume_point is None:
            return
        position, event_files = self._resume_point
        self._resume_point = None
        missing = truncate_logs(self.path, position, event_files)
        if missing:
            log.warning(f"cannot restore the curves of '{self.path}'; missing: {', '.join(missing)}")
        (self.path / "result.json").unlink(missing_ok=True)
        self._write_start_files()
        self._copy_code()

    @property
    def is_resumed(self) -> bool:
        """Return whether the run is resumed and has made no new step."""
        return self._resume_point is not None

    def record_code(self) -> None:
        """Record the files that have been imported; called before and after the training."""
        if not self._starts:  # not the first process
            return
        code = list_imported_files(find_targets(self.config))
        hashes = {item.name: item.hash for item in code}
        if self._starts[-1].get("code") != hashes:
            self._code = code
            signed = {**self._starts[-1], "code": hashes}
            self.record(
                code=hashes,
                code_folders=list_import_directories(code),
                signature=sign_config(self.stored_config, hashes),
                code_signature=sign_code(signed, self._diff if self._has_new_code else ""),
            )
            if not self.is_resumed:
                self._copy_code()

    @property
    def user_code(self) -> dict[str, str]:
        """Return the hashes of the user's imported files by name."""
        return {item.name: item.hash for item in self._code if item.is_user_code}

    def record(self, **values: Any) -> None:
        """Add values to the entry of this start in `provenance.json`."""
        if not self._starts or self._starts[-1].items() >= values.items():  # not the first process; or no news
            return
        self._starts[-1] |= values
        if not self.is_resumed:
            self._write_provenance()

    def _write_start_files(self) -> None:
        self._write_provenance()
        # written after provenance.json: a directory with a config.yaml contains a run
        atomic_write_text(self.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(self.stored_config)))
        if self._diff and self._has_new_code:
            atomic_write_text(locate_code_files(self.path, self._starts[-1])[0], self._diff)

    def _write_provenance(self) -> None:
        first, *others = self._starts
        content = first | {"run": self._starts[-1]["run"]} | ({"resumed": others} if others else {})
        atomic_write_text(self.path / "provenance.json", json.dumps(content, indent=2) + "\n")

    def _copy_code(self) -> None:
        if self._has_new_code:
            roots = [checkout["root"] for checkout in self.provenance["git"]]
            copy_unversioned(self._code, roots, locate_code_files(self.path, self._starts[-1])[1])

    @property
    def _has_new_code(self) -> bool:
        versions = [start.get("code_version", 1) for start in self._starts]
        return versions[-1] not in versions[:-1]

    def _write_result(self, result: dict[str, Any], seconds: float) -> None:
        if result["state"] != "finished" and is_finished(self.path):  # the run could not be resumed
            return
        result["seconds"] = round(seconds, 3)
        if self.config:
            result |= {"seed": self.config["seed"], "fingerprint": compute_fingerprint(self.stored_config, self.path)}
        if accepted := RunRecord(self.path).accepted_changes:
            result["accepted_changes"] = accepted
        try:
            content = {**result, "metrics": nonfinite_to_none(result["metrics"])}
            atomic_write_text(self.path / "result.json", json.dumps(content, indent=2) + "\n")
        except OSError as error:  # must not replace the exception in progress
            log.error(f"cannot write result.json: {error.strerror}")
        log_resume_command(self.path, result["state"])
