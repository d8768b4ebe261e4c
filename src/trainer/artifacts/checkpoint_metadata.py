"""Config, data spec, preprocessing, metrics and provenance in checkpoints."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from lightning_fabric.utilities.data import AttributeDict
from omegaconf import OmegaConf
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import (
    BatchSizeFinder,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    WeightAveraging,
)
from torch import Tensor

from trainer.artifacts.change_detection import warn_if_code_changed
from trainer.artifacts.checkpoint_io import install_checkpoint_io
from trainer.artifacts.config_signature import sign_config
from trainer.artifacts.data_checksum import (
    compute_checksum,
    compute_example_checksum,
    describe_data_change,
    has_own_checksum,
    list_loaders,
)
from trainer.artifacts.run_directory import RunDirectory
from trainer.config.environment_values import redact
from trainer.core.callback import Callback
from trainer.core.spec import find_spec
from trainer.data.preprocessing.base import Preprocessing

log = logging.getLogger(__name__)

# callbacks of Lightning that a resumed run does not continue exactly, and the reasons
INEXACT_CALLBACKS: dict[type, str] = {
    ModelPruning: "checkpoints contain no masks, so pruned weights are trained until the next pruning",
    LearningRateFinder: "it searches again, from the trained weights",
    BatchSizeFinder: "it searches again, from the trained weights",
}
PLAIN_TYPES = (int, float, complex, str, bytes, bool, type(None), Tensor)
# packages whose version can change the predictions of a checkpoint
RECORDED_PACKAGES = (
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "hydra-core",
    "numpy",
    "pillow",
    "tokenizers",
)


class CheckpointMetadata(Callback):
    """Add the metadata to every checkpoint that tests, predictions and exports need.

    The values are plain containers and tensors, which `torch.load` can read with `weights_only=True`:

    - `config`: complete config of the run;
    - `spec`: `DataSpec` of the data, with the sizes of the network and the class names; None if the data have none;
    - `preprocessing`: conversion of files to network inputs (`trainer.data.preprocessing`); None if the data set has
      none;
    - `metrics`: last logged values;
    - `provenance`: command, commit, versions, run directory, checksum of the data.

    Args:
        directory: Run directory after `prepare`.
    """

    skips_steps = True  # `trainer.training.loop` may call it after several steps

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        if directory.is_resumed:  # a new run needs no hook at each step
            self.on_train_batch_end = self._commit_resume  # type: ignore[assignment]
        self._provenance: dict[str, Any] = {}  # the same for all checkpoints of a run
        self._spec: dict[str, Any] | None = None
        self._checksum: Future[str | None] | None = None
        self._is_resumed = False
        self._recorded_checksum: str | None = None  # of the resumed run

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        install_checkpoint_io(trainer)
        modules = (pl_module, trainer.datamodule) if self.directory.secrets else ()  # type: ignore[attr-defined]
        for module in modules:
            if hasattr(module, "_hparams_initial"):  # logged by Lightning
                module._hparams_initial = AttributeDict(redact(module._hparams_initial, self.directory.secrets))
        if trainer.is_global_zero:
            self.directory.record_code()
            if self.directory.is_resumed and stage == "fit":
                warn_if_inexact(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.is_global_zero:
            self.directory.commit_resume()
            self.directory.record_code()  # includes later imports
            if self._checksum:
                self.directory.record(data_sha256=self._checksum.result())

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the checksum of the data in a thread, during the first steps (0.1 seconds for CIFAR-10).

        Without a method for it, compute that of the examples, and compare it with that of a resumed run.
        """
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if has_own_checksum(data):
            executor = ThreadPoolExecutor(1)
            self._checksum = executor.submit(compute_checksum, data)
            executor.shutdown(wait=False)
            return
        loaders = list_loaders(data, train=trainer.train_dataloader, val=trainer.val_dataloaders)
        checksum = compute_example_checksum(data, loaders)
        self._checksum = Future()
        self._checksum.set_result(checksum)
        if self._is_resumed:
            self._compare_data(checksum)

    def _compare_data(self, checksum: str | None) -> None:
        """Raise an error if the data differ from those of the resumed run, unless the user accepts the change."""
        if not (self._recorded_checksum and checksum):
            log.info("data   not compared: no checksum of the examples")
        changes = describe_data_change(self.directory.config, self._recorded_checksum, checksum)
        self.directory.record_changes(changes)

    def _commit_resume(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.is_global_zero:
            self.directory.commit_resume()

    on_test_epoch_end = _commit_resume  # before the loggers receive the metrics of the test

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Raise an error if a run is resumed with different data; warn if the checkpoint used different code.

        Load averaged weights for a test: `WeightAveraging` of Lightning 2.6 loads the weights that are not averaged if
        the process has trained before.
        """
        directory = self.directory
        provenance = checkpoint.get("provenance", {})
        if not directory.checkpoint and provenance.get("run") != str(directory.path.absolute()):
            warn_if_code_changed(provenance.get("code", {}), f"the checkpoint '{directory.config.get('ckpt_path')}'")
        if trainer.state.fn != "fit":
            if any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks):  # type: ignore[attr-defined]
                trainer.strategy.load_model_state_dict(checkpoint, strict=pl_module.strict_loading)
            return
        if not directory.checkpoint:
            return
        self._is_resumed = True
        self._recorded_checksum = provenance.get("data_sha256")
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if has_own_checksum(data):
            self._compare_data(compute_checksum(data))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._commit_resume(trainer, pl_module)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if self._spec is None and (spec := find_spec(data)):
            self._spec = asdict(spec)
        preprocessing = getattr(data, "preprocessing", None)
        if not self._provenance:
            if trainer.is_global_zero:
                self.directory.record_code()  # includes imports of the first steps
            checksum = self._checksum.result() if self._checksum else compute_checksum(data)
            self._provenance = {**summarize_provenance(self.directory), "data_sha256": checksum}
            if trainer.is_global_zero:
                self.directory.record(data_sha256=checksum)
        drop_hyperparameters(checkpoint)
        names = {"hyper_parameters", "datamodule_hyper_parameters"} & checkpoint.keys()
        checkpoint |= {name: redact(checkpoint[name], self.directory.secrets) for name in names}
        checkpoint |= {
            "config": self.directory.stored_config,
            "spec": self._spec,
            "preprocessing": preprocessing.state() if isinstance(preprocessing, Preprocessing) else None,
            "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
            "provenance": self._provenance,
        }


def warn_if_inexact(trainer: Trainer) -> None:
    """Log a warning for each callback after which a resumed run differs from an uninterrupted one."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        for cls, reason in INEXACT_CALLBACKS.items():
            if isinstance(callback, cls):
                log.warning(f"warning: {cls.__name__} does not resume exactly: {reason}")


def drop_hyperparameters(checkpoint: dict[str, Any]) -> None:
    """Remove the arguments saved by `save_hyperparameters` that `weights_only` loading does not allow.

    The config builds these objects again.
    """
    for prefix in ("", "datamodule_"):
        checkpoint.pop(f"{prefix}hparams_type", None)  # class of OmegaConf
        values: Any = checkpoint.get(f"{prefix}hyper_parameters")
        if values is None:
            continue
        if OmegaConf.is_config(values):
            values = OmegaConf.to_container(values, resolve=True)
        plain = {name: value for name, value in values.items() if is_plain(value)}
        checkpoint[f"{prefix}hyper_parameters"] = plain
        if dropped := values.keys() - plain.keys():
            log.debug("checkpoint: without the %shyperparameters %s", prefix, ", ".join(sorted(dropped)))


def is_plain(value: Any) -> bool:
    """Return True for numbers, strings, tensors, and lists, tuples and dicts of them."""
    if type(value) in (list, tuple):
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(map(is_plain, [*value, *value.values()]))
    return type(value) in PLAIN_TYPES


def summarize_provenance(directory: RunDirectory) -> dict[str, Any]:
    """Return the part of a run's provenance that its checkpoints contain; small, as a run may have many of them."""
    provenance = directory.provenance
    git = [
        {"commit": checkout["commit"], "branch": checkout["branch"], "changed": bool(checkout["changed"])}
        for checkout in provenance.get("git", [])
    ]
    versions = provenance.get("packages", {})
    return {
        "run": str(directory.path.absolute()),
        **{key: provenance.get(key) for key in ("command", "trainer", "python")},
        "git": git,
        "code": directory.user_code,
        "signature": sign_config(directory.stored_config, directory.user_code),
        "packages": {name: versions[name] for name in RECORDED_PACKAGES if name in versions},
    }


def find_best_checkpoint(trainer: Trainer) -> tuple[str | None, dict[str, float]]:
    """Return the checkpoint with the best value of the monitored metric.

    Returns:
        str: Path; None if no checkpoint was saved.
        dict: Value of the metric, with a name such as `val/accuracy_best`; empty if no metric was monitored.
    """
    callback = trainer.checkpoint_callback
    if not isinstance(callback, ModelCheckpoint):
        return None, {}
    score = callback.best_model_score
    return callback.best_model_path or None, {} if score is None else {f"{callback.monitor}_best": float(score)}
