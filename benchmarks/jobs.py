"""What all contestants have to do: read off the very config that ours runs, so that the work cannot differ."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

Examples = tuple[Tensor, Tensor]


@dataclass
class Job:
    """A piece of work for the rivals; plain enough to be saved, and to be read without our framework.

    Args:
        data: Name of the data set.
        net: Ours, with the weights that ours begins with.
        train, val, test: Inputs, of images and texts as stored, and targets.
        pixels: Mean and deviation of images' bytes; None for other inputs.
        loss: bce, cross_entropy or mse.
        adversarial: Whether two nets learn by turns; there is another loss then.
        metrics: By name.
        optimizer: Class in `torch.optim`, and its arguments.
        batch, eval_batch: Examples at a time.
        epochs: Of training.
        steps: In an epoch.
        log_every: Steps from one logged loss to the next.
        check_every: Epochs from one validation to the next.
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
def job_of(words: tuple[str, ...]) -> Job:
    """The work for a rival: compose the config as the command does, and build the same net of the same seed.

    Args:
        words: What ours is told.
    """
    import pytorch_lightning as pl
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from trainer.config.schema import HOME, register
    from trainer.training.build import build, build_net

    register()
    with initialize_config_dir(str(HOME / "conf"), version_base="1.3"):
        config = compose("config", [*words])
    pl.seed_everything(config.seed, verbose=False)
    data = build(config, "data")
    data.setup("fit")
    net, spec = build_net(config, data.spec), data.spec
    objective = build(config, "objective", spec)
    settings = OmegaConf.to_container(config.optimizer, resolve=True)
    settings.pop("_partial_")
    name = settings.pop("_target_").rpartition(".")[2]
    settings.pop("fused", None)  # each rival has its own way
    rows, limits = len(data.splits["train"].targets) * data.repeats, config.trainer
    val_rows = limits.get("limit_val_batches", len(data.splits["val"].targets)) * data.eval_batch_size

    def ready(stage: str) -> Examples:
        """Numbers as the net takes them; bytes of images and words of reviews as stored."""
        inputs, targets = data.splits[stage]
        return data.prepare(inputs) if spec.kind in ("vector", "sequence") else inputs, targets

    return Job(
        data=spec.name,
        net=net,
        train=ready("train"),
        val=tuple(part[:val_rows] for part in ready("val")),
        test=ready("test"),
        pixels=_pixels(spec.name),
        loss="mse" if spec.target == "values" else "bce" if spec.output_size == 1 else "cross_entropy",
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
    return torch.as_tensor(255 * module.MEAN), torch.as_tensor(255 * module.DEVIATION)
