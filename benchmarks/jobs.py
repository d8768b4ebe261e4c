"""Job of the rivals, derived from the config that ours runs, so that all contestants do the same work."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

Examples = tuple[Tensor, Tensor]


@dataclass
class Job:
    """A training for the rivals, which can be pickled and loaded without our framework.

    Args:
        data: Name of the data set.
        net: Our net with its initial weights.
        train, val, test: Inputs (images and texts as stored) and targets.
        pixels: Mean and standard deviation of image bytes; None for other inputs.
        loss: bce, cross_entropy or mse.
        adversarial: Whether two nets are trained in turn with another loss.
        metrics: Names of the metrics.
        optimizer: Name of a class in `torch.optim`, and its arguments.
        batch, eval_batch: Batch sizes.
        epochs: Number of epochs.
        steps: Number of steps of an epoch.
        log_every: Steps between two logged losses.
        check_every: Epochs between two validations.
    """

    data: str
    net: nn.Module
    train: Examples
    val: Examples
    test: Examples
    pixels: tuple[Tensor, Tensor] | None
    loss: str
    adversarial: bool
    metrics: tuple[str, ...]
    optimizer: tuple[str, dict[str, Any]]
    batch: int
    eval_batch: int
    epochs: int
    steps: int
    log_every: int
    check_every: int


@cache
def build_job(overrides: tuple[str, ...]) -> Job:
    """Return the job of the rivals: compose the config as the command does, and build the same net with the same seed.

    Args:
        overrides: Overrides of our command.
    """
    import pytorch_lightning as pl
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from trainer.config.schema import RESOURCE_DIR, register_hydra_plugins
    from trainer.task.parameter_groups import GROUP_SETTINGS
    from trainer.training.build import build
    from trainer.training.build_module import build_net

    register_hydra_plugins()
    with initialize_config_dir(str(RESOURCE_DIR / "conf"), version_base="1.3"):
        config = compose("config", [*overrides])
    pl.seed_everything(config.seed, verbose=False)
    data = build(config, "data")
    data.setup("fit")
    spec = data.spec
    net = build_net(config, spec)
    objective = build(config, "objective", spec)
    settings = OmegaConf.to_container(config.optimizer, resolve=True)
    settings.pop("_partial_")
    name = settings.pop("_target_").rpartition(".")[2]
    for key in ("fused", *GROUP_SETTINGS):  # each rival decides itself, and none has parameter groups
        settings.pop(key, None)
    limits = config.trainer
    rows = len(data.splits["train"].targets) * data.repeats
    val_rows = limits.get("limit_val_batches", len(data.splits["val"].targets)) * data.eval_batch_size

    def examples(stage: str) -> Examples:
        """Return vectors as the net expects them, and images and reviews as stored."""
        inputs, targets = data.splits[stage]
        return data.prepare(inputs) if spec.kind in ("vector", "sequence") else inputs, targets

    return Job(
        data=spec.name,
        net=net,
        train=examples("train"),
        val=tuple(part[:val_rows] for part in examples("val")),
        test=examples("test"),
        pixels=_pixels(spec.name),
        loss="mse" if spec.target == "regression" else "bce" if spec.output_size == 1 else "cross_entropy",
        adversarial=hasattr(net, "generator"),
        metrics=tuple(objective.metrics()),
        optimizer=(name, settings),
        batch=data.batch_size,
        eval_batch=data.eval_batch_size,
        epochs=limits.max_epochs,
        steps=min(-(-rows // data.batch_size), limits.get("limit_train_batches", rows)),
        log_every=limits.log_every_n_steps,
        check_every=limits.check_val_every_n_epoch,
    )


def _pixels(data: str) -> tuple[Tensor, Tensor] | None:
    from trainer.data import cifar10, mnist

    if data not in ("mnist", "cifar10"):
        return None
    module = mnist if data == "mnist" else cifar10
    return torch.as_tensor(255 * module.MEAN), torch.as_tensor(255 * module.STD)
