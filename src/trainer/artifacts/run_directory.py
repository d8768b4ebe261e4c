"""The run directory: claimed for one run alone, told where it came from, closed with a result.

outputs/<experiment or data_model>/<time>_<suffix>/
    config.yaml       every value the run used            result.json      how it ended, and its metrics
    provenance.json   command, commit, versions, machine  code.diff        what the commit does not hold
    code/             the user's files outside of git     checkpoints/     best.ckpt, last.ckpt
    metrics.csv       every logged number                 tensorboard/     events
    trainer.log       what was said                       .hydra/          Hydra's own record
"""

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.change_detection import accept
from trainer.artifacts.code_copies import copy_unversioned
from trainer.artifacts.code_hashes import Imported, changed_files, folders_of, imported_code, targets_in
from trainer.artifacts.fingerprint import fingerprint
from trainer.artifacts.loggers import event_files, go_back
from trainer.artifacts.provenance import provenance
from trainer.artifacts.resume import has_checkpoint, is_finished, is_over, latest, refuse_changes
from trainer.artifacts.run_lock import held
from trainer.artifacts.run_record import Record, code_files
from trainer.core.errors import Pruned, mendable

log = logging.getLogger(__name__)


class RunDirectory:
    """Writes what a run leaves behind beside its checkpoints and logs, in the first process.

    Args:
        path: An existing directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: dict[str, Any] = {}  # resolved, of plain containers; filled by `begin`
        self.provenance: dict[str, Any] = {}  # filled by `begin`
        self._starts: list[dict[str, Any]] = []  # what `provenance.json` is to say of each start, the last one is this
        self._diff = ""  # what `code.diff` is to say
        self._code: list[Imported] = []  # what has been imported
        self._resumes_at: tuple[dict[str, Any], list[Path]] | None = None  # how far the logs were, and which there are
        self.checkpoint: str | None = None  # that the run goes on from; filled by `begin`

    @contextmanager
    def session(self) -> Iterator[dict[str, Any]]:
        """Hold the directory against other processes, and write `result.json`, however that ends.

        Yields:
            dict: To be filled with what `result.json` is to say.

        Raises:
            UserError: Another process holds it.
        """
        result: dict[str, Any] = {"state": "failed", "metrics": {}}
        began = time.monotonic()
        with held(self.path):
            self._is_mine = not (self.path / "config.yaml").is_file()  # else only once `begin` has agreed
            try:
                yield result
                result["state"] = "finished"
            except Pruned as end:
                result |= {"state": "pruned", **end.result}
                raise
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt | SystemExit):  # Lightning turns Ctrl-C into an exit
                    result["state"] = "interrupted"
                told = mendable(error, self.config) if isinstance(error, Exception) else None
                result["error"] = f"{type(error).__name__}: {told or error}"
                if told:
                    raise told from error
                raise
            finally:
                if self._is_mine:
                    self._end(result, time.monotonic() - began)

    def begin(self, config: DictConfig, overrides: list[str], result: dict[str, Any]) -> bool:
        """Write `config.yaml`, `provenance.json` and `code.diff`; or find out where to go on, with `resume`.

        Returns:
            bool: Whether there is something to do; if not, `result` is filled with what the finished run has left.

        Raises:
            UserError: The directory holds a run with another config, or with other code.
        """
        resolved = OmegaConf.to_container(config, resolve=True)
        assert isinstance(resolved, dict)
        self.config = {str(key): value for key, value in resolved.items()}
        self.provenance, self._diff = provenance()
        typed = OmegaConf.to_container(OmegaConf.create(overrides))  # a list of Hydra's resolves `${...}` by itself
        self._starts = [self.provenance | {"overrides": typed, "run": str(self.path.absolute())}]
        if self._is_mine:
            self._write_beginning()
            return True
        refuse_changes(self.path, self.config)
        if is_over(self.path, self.config):
            result |= json.loads((self.path / "result.json").read_text())
            log.info(f"'{self.path}' is finished; to go on longer: trainer resume {self.path} trainer.max_epochs=N")
            return False
        self._resume()
        return True

    def _resume(self) -> None:
        record = Record(self.path)
        before, start = record.starts, self._starts[0]
        self._starts = [*before, start]
        start["code_version"] = version = before[-1].get("code_version", 1)
        if has_checkpoint(self.path) and not record.code:
            log.info("code   was not recorded when the run was started: not compared")
        elif has_checkpoint(self.path):
            changes = changed_files(record.code, before[-1].get("code_folders", []))
            self.accept(changes)
            start["code_version"] = version + bool(changes)
        self._is_mine = True
        self.checkpoint, position = latest(self.path)
        self._resumes_at = position, event_files(self.path)
        if not is_finished(self.path):
            (self.path / "result.json").unlink(missing_ok=True)

    def accept(self, changes: list[str]) -> None:
        """Note changes of code or data since the run was last started, if the user accepts them.

        Args:
            changes: What is another now, and how.

        Raises:
            UserError: There are changes, and `accept_changes` is not set.
        """
        accept(changes, f"the run in '{self.path}'", accepted=bool(self.config.get("accept_changes")))
        if changes and self._starts:
            self._starts[-1].setdefault("accepted_changes", []).extend(changes)

    def go_on(self) -> None:
        """Remove the old result and the log entries after the checkpoint, and write the new config and provenance.

        Called by the first process after the first new step: a finished run that cannot be resumed stays as it was.
        Does nothing in a new run, and if it was called before.
        """
        if self._resumes_at is None:
            return
        position, events = self._resumes_at
        self._resumes_at = None
        missing = go_back(self.path, position, events)
        if missing:
            log.warning(f"missing in '{self.path}', and lost from the curves: {', '.join(missing)}")
        (self.path / "result.json").unlink(missing_ok=True)
        self._write_beginning()
        self._copy_code()

    @property
    def is_resumed(self) -> bool:
        """Whether the run is resumed and has made no new step."""
        return self._resumes_at is not None

    def record_code(self) -> None:
        """Record the files that have been imported by now; called before the training and after it."""
        if not self._starts:  # not the first process
            return
        code = imported_code(targets_in(self.config))
        hashes = {each.name: each.hash for each in code}
        if self._starts[-1].get("code") != hashes:
            self._code = code
            self.record(code=hashes, code_folders=folders_of(code))
            if not self.is_resumed:
                self._copy_code()

    @property
    def own_code(self) -> dict[str, str]:
        """The hashes of the user's files that have been imported, by name."""
        return {each.name: each.hash for each in self._code if each.is_own}

    def record(self, **facts: Any) -> None:
        """Add facts to what `provenance.json` says of this start of the run."""
        if not self._starts or self._starts[-1].items() >= facts.items():  # not the first process; or known
            return
        self._starts[-1] |= facts
        if not self.is_resumed:
            self._write_provenance()

    def _write_beginning(self) -> None:
        self._write_provenance()
        # last of these two: by it a directory is known to hold a run that was begun
        write(self.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(self.config)))
        if self._diff and self._has_new_code:
            write(code_files(self.path, self._starts[-1])[0], self._diff)

    def _write_provenance(self) -> None:
        first, *others = self._starts
        whole = first | {"run": self._starts[-1]["run"]} | ({"resumed": others} if others else {})
        write(self.path / "provenance.json", json.dumps(whole, indent=2) + "\n")

    def _copy_code(self) -> None:
        if self._has_new_code:
            roots = [place["root"] for place in self.provenance["git"]]
            copy_unversioned(self._code, roots, code_files(self.path, self._starts[-1])[1])

    @property
    def _has_new_code(self) -> bool:
        """Whether no earlier start had the code of this one."""
        versions = [start.get("code_version", 1) for start in self._starts]
        return versions[-1] not in versions[:-1]

    def _end(self, result: dict[str, Any], seconds: float) -> None:
        """Write `result.json`; without it the run is going on, or was killed."""
        if result["state"] != "finished" and is_finished(self.path):  # it could not be resumed
            return
        result["seconds"] = round(seconds, 3)
        if self.config:
            result |= {"seed": self.config["seed"], "fingerprint": fingerprint(self.config, self.path)}
        if accepted := Record(self.path).accepted_changes:
            result["accepted_changes"] = accepted
        try:
            whole = {**result, "metrics": finite(result["metrics"])}
            write(self.path / "result.json", json.dumps(whole, indent=2) + "\n")
        except OSError as error:  # the disk is full: what is under way says so already
            log.error(f"cannot write result.json: {error.strerror}")
        if result["state"] in ("failed", "interrupted") and (self.path / "checkpoints/last.ckpt").is_file():
            log.info(f"go on with it: trainer resume {self.path}")


def finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics for JSON, which has no NaN: those that are not finite have no value."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
