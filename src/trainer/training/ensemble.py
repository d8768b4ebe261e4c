"""Run directory of an ensemble: a checkpoint of several networks, with its validation and test."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from trainer.artifacts.checkpoint_io import AtomicCheckpointIO
from trainer.artifacts.checkpoint_metadata import CheckpointMetadata, summarize_provenance
from trainer.artifacts.data_checksum import describe_data
from trainer.artifacts.run_directory import RunDirectory
from trainer.config.environment_values import list_secrets
from trainer.config.stored_config import adapt_to_machine
from trainer.core.callback import Callback
from trainer.core.errors import UserError
from trainer.core.signals import interruptible
from trainer.core.spec import DataSpec, find_spec
from trainer.core.warning_filters import install_warning_filters
from trainer.inference.ensemble_members import Member
from trainer.model.ensemble import Ensemble
from trainer.model.pretrained import skip_weight_loading
from trainer.task.objective import ClassificationObjective, Objective
from trainer.task.objective_lookup import describe_threshold
from trainer.training.build import build_data, build_trainer
from trainer.training.build_module import build_module, build_parts, build_with_spec
from trainer.training.interruption import InterruptionPoints
from trainer.training.test_outputs import TestOutputs
from trainer.training.uncertainty import record_test

Average = Literal["outputs", "weights"]
MAX_LOG_TEMPERATURE = 3.0  # temperatures from 0.05 to 20
BATCH_NORM_BUFFER = ".running_mean"
STATE_KEYS = ("spec", "preprocessing", "target_scale", "objective", "test_time_augmentation")  # equal in all members
LIGHTNING_KEYS = ("pytorch-lightning_version", "epoch", "global_step")  # required in checkpoints


class ValidationOutputs(Callback):
    """Collect outputs (examples, output_size) and targets (examples,) of a validation."""

    affects_training = False

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, Tensor]] = []

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.batches.append((outputs.detach(), batch[1]))


def write_ensemble(members: Sequence[Member], output: Path, *, average: Average, calibrate: bool) -> dict[str, Any]:
    """Write the run directory of an ensemble; return the content of its `result.json`.

    Args:
        members: Runs with equal data and tasks.
        output: New or empty directory.
        average: `"outputs"`: the predictions of the networks are averaged. `"weights"`: one network has the mean
            weights of all.
        calibrate: Whether the temperature of the probabilities is chosen on the validation examples.

    Raises:
        UserError: The directory is not empty, the weights cannot be averaged, or the outputs are no probabilities.
    """
    config = build_config(members, average)
    objective: Objective = build_with_spec(config, "objective", DataSpec(**members[0].checkpoint["spec"]))
    has_probabilities = isinstance(objective, ClassificationObjective) and objective.distance is None
    config.model.net.averaged = "probabilities" if has_probabilities else "outputs"
    if calibrate and not has_probabilities:
        raise UserError("ensemble: --calibrate: the outputs are no probabilities; leave the option out")
    weights = [average_weights(members)] if average == "weights" else [member.weights for member in members]
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise UserError(f"ensemble: --output: '{output}' is not empty; expected a new or empty directory")
    output.mkdir(parents=True, exist_ok=True)
    directory = RunDirectory(output)
    directory.secrets = list_secrets(config)
    install_warning_filters()
    with interruptible(), directory.session() as result:
        directory.prepare(config, [], result)
        directory.record(members=[str(member.record.path.absolute()) for member in members])
        first = members[0].checkpoint
        content = {key: first[key] for key in (*LIGHTNING_KEYS, *STATE_KEYS) if key in first}
        content["state_dict"] = {
            f"net.members.{index}.{name}": tensor
            for index, state in enumerate(weights)
            for name, tensor in state.items()
        } | {"net.temperature": torch.ones(())}
        result |= _evaluate(config, directory, content, calibrate=calibrate)
    return result


def build_config(members: Sequence[Member], average: Average) -> DictConfig:
    """Return the config of an ensemble: that of its first member without its training.

    Raises:
        UserError: The weights of different networks are to be averaged.
    """
    config = adapt_to_machine(deepcopy(members[0].checkpoint["config"]))
    nets = [member.net_config for member in members]
    if average == "weights":
        for member in members:
            if member.net_config != nets[0]:
                pair = f"'{member.record.path}' and '{members[0].record.path}'"
                raise UserError(f"ensemble: --average=weights: {pair} have different networks; use --average=outputs")
        nets = nets[:1]
    net = {"_target_": f"{Ensemble.__module__}.{Ensemble.__qualname__}", "_partial_": True, "members": nets}
    config |= {"model": {**config["model"], "net": {**net, "averaged": "outputs"}}, "callbacks": {}, "logger": {}}
    config |= {"train": False, "test": True, "compile": False, "resume": None, "ckpt_path": None}
    composed = OmegaConf.create(config)
    assert isinstance(composed, DictConfig)
    return composed


def average_weights(members: Sequence[Member]) -> dict[str, Tensor]:
    """Return the mean of each weight; integers are those of the first member.

    Raises:
        UserError: The networks have batch norms, whose statistics do not fit averaged weights.

    Source:
        Wortsman et al. 2022, Model soups: averaging weights of multiple fine-tuned models, section 2.
    """
    states = [member.weights for member in members]
    if any(name.endswith(BATCH_NORM_BUFFER) for name in states[0]):
        raise UserError(
            "ensemble: --average=weights: the networks have batch norms, whose statistics do not fit the mean weights;"
            " use --average=outputs"
        )
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in states[0].items()
    }


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """Return the number that minimizes the cross-entropy of logits divided by it, between 0.05 and 20.

    Args:
        logits: (examples, classes), or (examples, 1) for the second of two classes.
        targets: Classes (examples,).

    Source:
        Guo et al. 2017, On calibration of modern neural networks, section 4.2.
    """
    from scipy.optimize import minimize_scalar  # takes half a second to import

    logits = logits.double()
    logits = torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits

    def compute_loss(log_temperature: float) -> float:
        return F.cross_entropy(logits * torch.tensor(-log_temperature).exp(), targets).item()

    bounds = (-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE)
    result = minimize_scalar(compute_loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(torch.tensor(result.x).exp())


def _evaluate(
    config: DictConfig, directory: RunDirectory, content: dict[str, Any], *, calibrate: bool
) -> dict[str, Any]:
    """Write the checkpoint, which contains the results of a validation; return the entries of `result.json`."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    with skip_weight_loading():
        task = build_module(config, build_parts(config, find_spec(data)))
    outputs = ValidationOutputs()
    test_outputs = TestOutputs()
    callbacks = [CheckpointMetadata(directory), InterruptionPoints(), outputs, test_outputs]
    options = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = build_trainer(
        config, callbacks=callbacks, logger=False, default_root_dir=str(directory.path), **options
    )
    directory.record_code()
    file = directory.path / "checkpoints/best.ckpt"
    content |= {"config": directory.stored_config, "provenance": summarize_provenance(directory), "metrics": {}}
    AtomicCheckpointIO().save_checkpoint(content, file)
    result: dict[str, Any] = {"steps": 0, "epochs": 0, "checkpoint": str(file)}
    trainer.validate(task, data, ckpt_path=str(file), verbose=False)
    if calibrate:
        logits, targets = (torch.cat(parts).cpu() for parts in zip(*outputs.batches, strict=True))
        result["temperature"] = fit_temperature(logits, targets)
        content["state_dict"]["net.temperature"] = torch.tensor(result["temperature"])
        AtomicCheckpointIO().save_checkpoint(content, file)
        trainer.validate(task, data, ckpt_path=str(file), verbose=False)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    description = describe_data(data)
    content |= {"metrics": dict(metrics), "objective": task.objective.state()}
    content["provenance"] |= {"data_sha256": description["data_sha256"]}
    AtomicCheckpointIO().save_checkpoint(content, file)
    trainer.test(task, data, ckpt_path=str(file), verbose=False)
    metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
    result["metrics"] = metrics
    return result | record_test(test_outputs, metrics, directory) | description | describe_threshold(task)
