"""Quality of generated images, measured with a classifier of an earlier run."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn

from trainer.callbacks.samples import SupportsSampling, generate_samples
from trainer.core.callback import Callback
from trainer.core.errors import UserError
from trainer.core.logged_metrics import SAMPLE_METRICS
from trainer.core.spec import DataSpec
from trainer.inference.load_checkpoint import load_checkpoint
from trainer.task.objective import ClassificationObjective

CLASSIFIER_BATCH_SIZE = 1000


class SampleQuality(Callback):
    """Classify generated images in the test. Does nothing for networks that generate none.

    Logs `test/classes_seen`, the number of classes among the images; `test/min_class_fraction`, the fraction of the
    rarest class; and `test/confident_fraction`, the fraction of images whose class has a probability of at least
    `confidence`. They detect a generator with few kinds of images or with unclear ones.

    Args:
        classifier: Run directory of a classifier trained on the same data; its best checkpoint is used.
        images: Number of images.
        confidence: Probability in [0, 1].
        seed: Seed of the noise.
    """

    affects_training = False

    def __init__(self, *, classifier: str, images: int = 10_000, confidence: float = 0.9, seed: int = 1) -> None:
        self.classifier = Path(classifier)
        self.images = images
        self.confidence = confidence
        self.seed = seed
        self._classifier: tuple[nn.Module, ClassificationObjective] | None = None

    def logged_metrics(self, data: Any) -> list[str]:
        """Return the names of all metrics that are logged with these data; other callbacks may monitor them."""
        return [f"test/{name}" for name in SAMPLE_METRICS]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        net = getattr(pl_module, "net", None)
        if self._classifier is None and isinstance(net, SupportsSampling):  # fail before the training
            self._classifier = load_classifier(net.spec, self.classifier)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._classifier is None:
            return
        classifier, objective = self._classifier
        classifier.to(pl_module.device)
        images = generate_samples(pl_module.net, self.images, self.seed)  # type: ignore[arg-type]  # see setup
        with torch.no_grad():
            batches = torch.split(images, CLASSIFIER_BATCH_SIZE)
            outputs = [classifier(batch.to(pl_module.device).float()).cpu() for batch in batches]
        quality = compute_quality(torch.cat(outputs), objective, self.confidence)
        # equal in all processes; sync_dist prevents a warning of Lightning
        pl_module.log_dict({f"test/{name}": value for name, value in quality._asdict().items()}, sync_dist=True)


class Quality(NamedTuple):
    """Values of `SAMPLE_METRICS`."""

    classes_seen: float
    min_class_fraction: float
    confident_fraction: float


def load_classifier(spec: DataSpec, run: Path) -> tuple[nn.Module, ClassificationObjective]:
    """Return the classifier of a run and its objective.

    Raises:
        UserError: The run has no checkpoint, or its network does not classify such images.
    """
    key = "callbacks.sample_quality.classifier"
    try:
        checkpoint = load_checkpoint(run)
    except UserError as error:
        raise UserError(f"{key}: {error}\n  expected the run directory of a classifier of data '{spec.name}'") from None
    net = checkpoint.net
    trained = checkpoint.spec
    fits = (trained.shape, trained.value_range) == (spec.shape, spec.value_range)
    if trained.target != "classification" or not fits or isinstance(net, SupportsSampling):
        network = f"a {type(net).__name__} of data '{trained.name}'"
        raise UserError(f"{key}: '{run}' is {network}; expected a classifier of data '{spec.name}'")
    return net, ClassificationObjective(trained)


def compute_quality(outputs: Tensor, objective: ClassificationObjective, confidence: float) -> Quality:
    """Return the quality of images.

    Args:
        outputs: Logits (images, output_size) of the classifier.
        objective: Objective of the classifier.
        confidence: See `SampleQuality`.
    """
    scores = objective.scores(outputs)
    probabilities = torch.maximum(scores, 1 - scores) if objective.binary else scores.amax(1)  # (images,)
    counts = torch.bincount(objective.predictions(outputs), minlength=len(objective.spec.class_names))
    return Quality(
        classes_seen=(counts > 0).sum().item(),
        min_class_fraction=counts.min().item() / len(outputs),
        confident_fraction=(probabilities >= confidence).float().mean().item(),
    )
