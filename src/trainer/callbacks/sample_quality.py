"""Sample quality: what a classifier of an earlier run sees in the images that a generative network makes."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from trainer.callbacks.samples import Generative, drawn
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.inference.load_checkpoint import restore
from trainer.task.objective import ClassObjective

AT_ONCE = 1000  # images that the judge reads at a time
MEASURES = ("classes_seen", "least_class_share", "confident_share")


class SampleQuality(Callback):
    """Let a classifier judge new images in the test; be silent for networks that make none.

    Logs `test/classes_seen`, how many classes occur among the images; `test/least_class_share`, the share of the
    rarest class; and `test/confident_share`, the share of images whose class has a probability of at least
    `confidence`. Together they find a generator that makes few kinds of images, or unclear ones.

    Args:
        judge: Run directory of the classifier, trained on the same data; its best checkpoint is taken.
        images: How many are judged.
        confidence: In [0, 1].
        seed: Of the noise.
    """

    affects_training = False

    def __init__(self, *, judge: str, images: int = 10_000, confidence: float = 0.9, seed: int = 1) -> None:
        self.judge, self.images, self.confidence, self.seed = Path(judge), images, confidence, seed
        self._judge: tuple[nn.Module, ClassObjective] | None = None

    def logged(self, data: Any) -> list[str]:
        """Names of all metrics that are logged with these data; callbacks may wait for any of them."""
        return [f"test/{name}" for name in MEASURES]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._judge is None and isinstance(pl_module.net, Generative):  # before a training, not after it
            self._judge = judge_for(pl_module.net.spec, self.judge)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._judge is None:
            return
        classifier, objective = self._judge
        classifier.to(pl_module.device)
        images = drawn(pl_module.net, self.images, self.seed)  # type: ignore[arg-type]  # setup has asked
        with torch.no_grad():
            outputs = [classifier(some.to(pl_module.device).float()).cpu() for some in torch.split(images, AT_ONCE)]
        found = quality(torch.cat(outputs), objective, self.confidence)
        # equal in all processes; keeps Lightning quiet
        pl_module.log_dict({f"test/{name}": value for name, value in found._asdict().items()}, sync_dist=True)


class Quality(NamedTuple):
    """The `MEASURES`."""

    classes_seen: float
    least_class_share: float
    confident_share: float


def judge_for(spec: DataSpec, run: Path) -> tuple[nn.Module, ClassObjective]:
    """The classifier of a run, and how its outputs are read.

    Raises:
        UserError: There is none, or it reads other data.
    """
    try:
        judge = restore(run)
    except UserError as error:
        raise UserError(
            f"callbacks.sample_quality.judge: {error}\n  name the run directory of a classifier of data '{spec.name}'"
        ) from None
    classifier, judged = judge.net, judge.spec
    same = (judged.shape, judged.value_range) == (spec.shape, spec.value_range)
    if judged.target != "classes" or not same or isinstance(classifier, Generative):
        raise UserError(
            f"callbacks.sample_quality.judge: '{run}' is no classifier of data '{spec.name}', but a "
            f"{type(classifier).__name__} of data '{judged.name}'"
        )
    return classifier, ClassObjective(judged)


def quality(outputs: Tensor, objective: ClassObjective, confidence: float) -> Quality:
    """What the outputs of a classifier say.

    Args:
        outputs: (images, output_size), logits.
        objective: Reads them.
        confidence: See `SampleQuality`.
    """
    scores, classes = objective.scores(outputs), len(objective.spec.class_names)
    sure = torch.maximum(scores, 1 - scores) if objective.binary else scores.amax(1)  # (images,)
    counts = torch.bincount(objective.predictions(outputs), minlength=classes)
    share = counts.min().item() / len(outputs)
    return Quality((counts > 0).sum().item(), share, (sure >= confidence).float().mean().item())
