"""What our checkpoints hold beyond Lightning's, and which of them is the best."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint, WeightAveraging

from trainer.artifacts.change_detection import warn_of_changed_code
from trainer.artifacts.checkpoint_io import seal_checkpoints
from trainer.artifacts.data_checksum import changed_data, known_checksum
from trainer.artifacts.run_directory import RunDirectory
from trainer.data.preprocessing.base import Preprocessing

log = logging.getLogger(__name__)

# packages whose version may change what a checkpoint says
DECISIVE = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "pillow", "tokenizers")


class SelfContained(Callback):
    """Put into every checkpoint what makes it of use by itself: to test it, to predict with it, to export it.

    Under these keys, all of plain containers and tensors, so that `torch.load` needs no pickle trust:

    - `config`: every value the run used;
    - `spec`: the data's promise, which gives the network its sizes and the classes their names;
    - `preprocessing`: from a user's file to what the network takes (`trainer.data.preprocessing`); None where the data
      set does not say;
    - `metrics`: the numbers logged when it was saved;
    - `provenance`: command, commit, versions, run directory, checksum of the data.

    Args:
        directory: Of the run, begun.
    """

    skips_steps = True  # `trainer.training.loop` may call it after several steps at once

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        if directory.is_resumed:  # a new run has nothing to be called for at each step
            self.on_train_batch_end = self._go_on  # type: ignore[assignment]
        self._origin: dict[str, Any] = {}  # the same for all checkpoints of a run
        self._checksum: Future[str | None] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        seal_checkpoints(trainer)
        if trainer.is_global_zero:
            self.directory.record_code()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.is_global_zero:
            self.directory.go_on()
            self.directory.record_code()  # what was imported meanwhile, too
            if self._checksum:
                self.directory.record(data_sha256=self._checksum.result())

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to sum up the data beside the first steps: 0.1 seconds for CIFAR-10, and no step waits for it."""
        beside = ThreadPoolExecutor(1)
        self._checksum = beside.submit(known_checksum, trainer.datamodule)  # type: ignore[attr-defined]
        beside.shutdown(wait=False)

    def _go_on(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.is_global_zero:
            self.directory.go_on()

    on_test_epoch_end = _go_on  # before the loggers get what the test has measured

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuse to resume a run with other data before its first new step; warn of a checkpoint of other code.

        Of averaged weights the averages are tested, which were validated and saved: after a training in the same
        process, `WeightAveraging` of Lightning 2.6 loads the weights that they are the average of for a test too.
        """
        facts, directory = checkpoint.get("provenance", {}), self.directory
        if not directory.checkpoint and facts.get("run") != str(directory.path.absolute()):
            warn_of_changed_code(facts.get("code", {}), f"the checkpoint '{directory.config.get('ckpt_path')}'")
        if trainer.state.fn != "fit":
            if any(isinstance(one, WeightAveraging) for one in trainer.callbacks):  # type: ignore[attr-defined]
                trainer.strategy.load_model_state_dict(checkpoint, strict=pl_module.strict_loading)
            return
        if not directory.checkpoint:
            return
        before, now = facts.get("data_sha256"), known_checksum(trainer.datamodule)  # type: ignore[attr-defined]
        if not (before and now):
            log.info("data   without a checksum that depends on them: not compared")
        directory.accept(changed_data(directory.config, before, now))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._go_on(trainer, pl_module)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        made = getattr(data, "preprocessing", None)
        if not self._origin:
            if trainer.is_global_zero:
                self.directory.record_code()  # what the first steps have imported, too
            checksum = self._checksum.result() if self._checksum else known_checksum(data)
            self._origin = {**origin(self.directory), "data_sha256": checksum}
            if trainer.is_global_zero:
                self.directory.record(data_sha256=checksum)
        checkpoint |= {
            "config": self.directory.config,
            "spec": asdict(data.spec),
            "preprocessing": made.state() if isinstance(made, Preprocessing) else None,
            "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
            "provenance": self._origin,
        }


def origin(directory: RunDirectory) -> dict[str, Any]:
    """What of a run's provenance goes into its checkpoints: little, as there may be many of them."""
    facts = directory.provenance
    git = [
        {"commit": place["commit"], "branch": place["branch"], "changed": bool(place["changed"])}
        for place in facts.get("git", [])
    ]
    versions = facts.get("packages", {})
    return {
        "run": str(directory.path.absolute()),
        **{key: facts.get(key) for key in ("command", "trainer", "python")},
        "git": git,
        "code": directory.own_code,
        "packages": {name: versions[name] for name in DECISIVE if name in versions},
    }


def best(trainer: Trainer) -> tuple[str | None, dict[str, float]]:
    """The checkpoint that the monitored metric chose, after a training.

    Returns:
        str: Its path; None where none was kept.
        dict: That metric's value, named e.g. `val/accuracy_best`; empty where nothing was monitored.
    """
    keeper = trainer.checkpoint_callback
    if not isinstance(keeper, ModelCheckpoint):
        return None, {}
    score = {} if keeper.best_model_score is None else {f"{keeper.monitor}_best": float(keeper.best_model_score)}
    return keeper.best_model_path or None, score
