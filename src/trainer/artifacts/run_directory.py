"""The run directory: claimed for one run alone, told where it came from, closed with a result.

outputs/<experiment or data_model>/<time>_<suffix>/
    config.yaml       every value the run used            result.json      how it ended, and its metrics
    provenance.json   command, commit, versions, machine  code.diff        what the commit does not hold
    checkpoints/      best.ckpt, last.ckpt                metrics.csv      every logged number
    tensorboard/      events                              trainer.log      what was said
    .hydra/           Hydra's own record
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

from trainer.artifacts.fingerprint import fingerprint
from trainer.artifacts.hold import held
from trainer.artifacts.logs import event_files, go_back
from trainer.artifacts.provenance import provenance
from trainer.artifacts.resume import is_finished, is_over, latest, refuse_changes
from trainer.errors import Pruned, mendable

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
        self._origin: dict[str, Any] = {}  # what `provenance.json` is to say
        self._diff = ""  # what `code.diff` is to say
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
            UserError: The directory holds a run with another config.
        """
        resolved = OmegaConf.to_container(config, resolve=True)
        assert isinstance(resolved, dict)
        self.config = {str(key): value for key, value in resolved.items()}
        self.provenance, self._diff = provenance()
        self._origin = self.provenance | {"overrides": overrides, "run": str(self.path.absolute())}
        if self._is_mine:
            self._write_beginning()
            return True
        refuse_changes(self.path, self.config)
        if is_over(self.path, self.config):
            result |= json.loads((self.path / "result.json").read_text())
            log.info(f"'{self.path}' is finished; to go on longer: trainer resume {self.path} trainer.max_epochs=N")
            return False
        self._is_mine = True
        self.checkpoint, position = latest(self.path)
        self._resumes_at = position, event_files(self.path)
        before = json.loads((self.path / "provenance.json").read_text())
        self._origin = before | {
            "run": self._origin["run"],
            "resumed": [*before.get("resumed", []), self._origin],
        }
        if not is_finished(self.path):
            (self.path / "result.json").unlink(missing_ok=True)
        return True

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

    @property
    def is_resumed(self) -> bool:
        """Whether the run is resumed and has made no new step."""
        return self._resumes_at is not None

    def _write_beginning(self) -> None:
        write(self.path / "provenance.json", json.dumps(self._origin, indent=2) + "\n")
        # last of these two: by it a directory is known to hold a run that was begun
        write(self.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(self.config)))
        if self._diff and not (self.path / "code.diff").exists():
            write(self.path / "code.diff", self._diff)

    def _end(self, result: dict[str, Any], seconds: float) -> None:
        """Write `result.json`; without it the run is going on, or was killed."""
        if result["state"] != "finished" and is_finished(self.path):  # it could not be resumed
            return
        result["seconds"] = round(seconds, 3)
        if self.config:
            result |= {"seed": self.config["seed"], "fingerprint": fingerprint(self.config, self.path)}
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
