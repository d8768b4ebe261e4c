"""Checkpoint, validation and test of an ensemble in a run directory of its own."""

import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.optim.swa_utils import update_bn

from trainer.artifacts.checkpoint_io import AtomicCheckpointIO
from trainer.artifacts.checkpoint_metadata import CheckpointMetadata, summarize_provenance
from trainer.artifacts.data_checksum import describe_data, describe_data_change
from trainer.artifacts.run_directory import RunDirectory
from trainer.config.environment_values import list_secrets
from trainer.config.stored_config import adapt_to_machine
from trainer.core.callback import Callback
from trainer.core.errors import UserError
from trainer.core.signals import interruptible
from trainer.core.spec import DataSpec, find_spec
from trainer.core.warning_filters import install_warning_filters
from trainer.data.base import TensorData
from trainer.inference.ensemble_members import Member, average_weights
from trainer.model.ensemble import Ensemble
from trainer.model.pretrained import skip_weight_loading
from trainer.task.objective import ClassificationObjective
from trainer.task.objective_lookup import describe_threshold
from trainer.task.temperature import compute_cross_entropy, fit_temperature
from trainer.training.build import build_data, build_trainer
from trainer.training.build_module import build_module, build_parts, build_with_spec
from trainer.training.collected_outputs import CollectedOutputs
from trainer.training.interruption import InterruptionPoints
from trainer.training.uncertainty import record_test

Average = Literal["outputs", "weights"]
BATCH_NORM_BUFFER = ".running_mean"  # end of its name
COPIED_KEYS = (
    *("pytorch-lightning_version", "epoch", "global_step"),  # required by Lightning
    *("spec", "preprocessing", "target_scale", "objective", "test_time_augmentation"),  # equal in all members
)


class ValidationOutputs(Callback):
    """Collect outputs (examples, output_size) and targets (examples,) of a validation."""

    affects_training = False

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, Tensor]] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.batches = []

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.batches.append((outputs.detach(), batch[1]))


def write_ensemble(members: Sequence[Member], output: Path, *, average: Average, calibrate: bool) -> dict[str, Any]:
    """Write the run directory of an ensemble; return the content of its `result.json`.

    Args:
        members: Runs with equal data and objectives.
        output: New or empty directory.
        average: `"outputs"`: the predictions of the networks are averaged. `"weights"`: one network has the mean
            weights of all.
        calibrate: Whether the temperature of the probabilities is chosen on the validation examples.

    Raises:
        UserError: The directory is not empty, the weights cannot be averaged, or the outputs are no probabilities.
    """
    weights = [average_weights(members)] if average == "weights" else [member.weights for member in members]
    config = build_config(members, len(weights))
    if calibrate and config.model.net.averaged != "probabilities":
        raise UserError("ensemble: --calibrate: the outputs are no probabilities; leave the option out")
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise UserError(f"ensemble: --output: '{output}' is not empty; expected a new or empty directory")
    first = members[0].checkpoint
    state = {"net.temperature": torch.ones(())}
    for member_name, tensors in zip(config.model.net.members, weights, strict=True):
        state |= {f"net.members.{member_name}.{name}": tensor for name, tensor in tensors.items()}
    content = {key: first[key] for key in COPIED_KEYS if key in first} | {"state_dict": state}
    install_warning_filters()
    output.mkdir(parents=True, exist_ok=True)
    directory = RunDirectory(output.absolute())
    directory.secrets = list_secrets(config)
    try:
        with interruptible(), directory.session() as result:
            directory.prepare(config, [], result)
            directory.record(members=[str(member.record.path.absolute()) for member in members])
            evaluation = Evaluation(config, directory, content)
            if average == "weights":
                evaluation.update_batch_norms()
            result |= evaluation.run(first["provenance"].get("data_sha256"), calibrate=calibrate)
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)  # it was empty, and a second attempt needs an empty one
        raise
    return result


def build_config(members: Sequence[Member], count: int) -> DictConfig:
    """Return the config of an ensemble: that of its first member without its training.

    Args:
        members: Runs with equal data and objectives.
        count: Number of their networks in the ensemble.
    """
    config = adapt_to_machine(deepcopy(members[0].checkpoint["config"]))
    nets = {f"run_{number}": member.net_config for number, member in enumerate(members[:count], 1)}
    net = {"_target_": f"{Ensemble.__module__}.{Ensemble.__qualname__}", "_partial_": True, "members": nets}
    config |= {"model": {**config["model"], "net": net}, "callbacks": {}, "logger": {}}
    config |= {"train": False, "test": True, "compile": False, "resume": None, "ckpt_path": None}
    composed = OmegaConf.create(config)
    assert isinstance(composed, DictConfig)
    objective = build_with_spec(composed, "objective", DataSpec(**members[0].checkpoint["spec"]))
    has_probabilities = isinstance(objective, ClassificationObjective) and objective.distance is None
    composed.model.net.averaged = "probabilities" if has_probabilities else "outputs"
    return composed


class Evaluation:
    """Validation and test of an ensemble, whose results are in its checkpoint and its run directory.

    Args:
        config: The whole config.
        directory: Run directory after `prepare`.
        content: Content of the checkpoint with the weights of the networks.
    """

    def __init__(self, config: DictConfig, directory: RunDirectory, content: dict[str, Any]) -> None:
        pl.seed_everything(config.seed, workers=True, verbose=False)
        self.directory = directory
        self.file = directory.path / "checkpoints/best.ckpt"
        self.data: Any = build_data(config)
        with skip_weight_loading():
            self.task: Any = build_module(config, build_parts(config, find_spec(self.data)))
        self.validation_outputs = ValidationOutputs()
        self.test_outputs = CollectedOutputs()
        self.trainer = build_trainer(
            config,
            callbacks=[CheckpointMetadata(directory), InterruptionPoints(), self.validation_outputs, self.test_outputs],
            logger=False,
            default_root_dir=str(directory.path),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        directory.record_code()
        metadata = {"config": directory.stored_config, "provenance": summarize_provenance(directory), "metrics": {}}
        self.content = content | metadata

    def update_batch_norms(self) -> None:
        """Compute the statistics of all batch norms over the training examples, without augmentation."""
        state = self.content["state_dict"]
        if not any(name.endswith(BATCH_NORM_BUFFER) for name in state):
            return
        if not isinstance(self.data, TensorData):
            problem = f"the statistics of batch norms need a data set of this package, not {type(self.data).__name__}"
            raise UserError(f"ensemble: --average=weights: {problem}; use --average=outputs")
        self.data.prepare_data()
        self.data.setup("fit")
        self.task.load_state_dict(state)
        update_bn(self.data.training_batches(), self.task.net)
        self.content["state_dict"] = {name: tensor.clone() for name, tensor in self.task.state_dict().items()}

    def run(self, checksum: str | None, *, calibrate: bool) -> dict[str, Any]:
        """Validate and test, and write the checkpoint; return the entries of `result.json`.

        Args:
            checksum: Checksum of the data of the members; None if it is not known.
            calibrate: See `write_ensemble`.

        Raises:
            UserError: The data have changed.
        """
        metrics = self._validate()
        result: dict[str, Any] = {"steps": 0, "epochs": 0, "checkpoint": str(self.file), **describe_data(self.data)}
        if changes := describe_data_change(self.directory.config, checksum, result["data_sha256"]):
            raise UserError(f"ensemble: the data have changed since the runs: {changes[0]}")
        if calibrate:
            result["calibration"] = self._calibrate()
            metrics = self._validate()
        self.directory.record(data_sha256=result["data_sha256"])
        self.content["provenance"]["data_sha256"] = result["data_sha256"]
        self.content |= {"metrics": metrics, "objective": self.task.objective.state()}
        self._save()
        self.trainer.test(self.task, self.data, ckpt_path=str(self.file), verbose=False)
        result["metrics"] = metrics | self._read_metrics()
        result |= record_test(self.test_outputs, result["metrics"], self.directory)
        return result | describe_threshold(self.task)

    def _validate(self) -> dict[str, float]:
        self._save()
        self.trainer.validate(self.task, self.data, ckpt_path=str(self.file), verbose=False)
        return self._read_metrics()

    def _calibrate(self) -> dict[str, float]:
        """Set the best temperature; return it, and the cross-entropy of the validation examples without and with it."""
        logits, targets = (torch.cat(parts).cpu() for parts in zip(*self.validation_outputs.batches, strict=True))
        temperature = fit_temperature(logits, targets)
        self.content["state_dict"]["net.temperature"] = torch.tensor(temperature)
        return {
            "temperature": temperature,
            "uncalibrated_cross_entropy": compute_cross_entropy(logits, targets),
            "cross_entropy": compute_cross_entropy(logits, targets, temperature),
        }

    def _save(self) -> None:
        AtomicCheckpointIO().save_checkpoint(self.content, self.file)

    def _read_metrics(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.trainer.callback_metrics.items()}
