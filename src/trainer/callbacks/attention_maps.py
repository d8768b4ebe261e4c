"""Attention maps: where a network looks, over images, behind words, or day by day, in TensorBoard."""

from collections import Counter
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.heatmap import BLACK, behind_words, in_rows, matrix, over_image, titled
from trainer.callbacks.plots.tensorboard import show
from trainer.callbacks.prediction_images import GREEN, RED
from trainer.core.spec import PADDING, Batch, DataSpec
from trainer.task.objective import Objective

WIDTH = 900  # pixels, of a text


@runtime_checkable
class Attentive(Protocol):
    """A network that tells where it looks: `trainer.model.attention`, or one of your own."""

    patch_size: int
    pooled: str  # "first": a place that the network adds stands first among queries and keys, and makes the output

    def attention_maps(self, inputs: Tensor) -> Tensor:
        """(layers, batch, heads, queries, keys); each row sums to 1 and is 0 at padding."""
        ...


class Example(NamedTuple):
    """One input (*spec.shape), its maps (layers, heads, queries, keys), what was said of it and what is true."""

    inputs: Tensor
    maps: Tensor
    prediction: Tensor
    target: Tensor


class AttentionPictures(Callback):
    """Draw where a network looks, as `test/attention`, and as `val/attention` after the last of `max_epochs`.

    The weights are those of the last layer, the mean over its heads. What an image's patch or a text's word weighs is
    how much the first, added place looks at it, if the network has one, and else how much all places do on average;
    for a sequence all are drawn, each step by each. The examples are spread evenly over the split: texts are read in
    order of length. Networks that are not `Attentive` get no picture.

    Args:
        examples: How many.
    """

    affects_training = False

    def __init__(self, *, examples: int = 4) -> None:
        self.examples = examples
        self._wanted: Counter[int] = Counter()  # how many examples of a batch
        self._kept: list[Example] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        last = not trainer.sanity_checking and trainer.current_epoch + 1 == trainer.max_epochs
        self._choose(trainer.num_val_batches if last else [0], pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._choose(trainer.num_test_batches, pl_module)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int, *_: Any
    ) -> None:
        self._keep(trainer, pl_module, outputs, batch, batch_idx)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int, *_: Any
    ) -> None:
        self._keep(trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw("test", trainer, pl_module)

    def _choose(self, batches: Any, pl_module: LightningModule) -> None:
        """Which examples are looked at in an evaluation of so many batches: a list, with an entry for each loader."""
        looks = batches[0] and isinstance(getattr(pl_module, "net", None), Attentive)
        self._wanted = Counter(place * batches[0] // self.examples for place in range(self.examples) if looks)

    def _keep(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int) -> None:
        count = self._wanted[batch_idx]
        if not count or outputs is None or not trainer.is_global_zero:
            return
        net, objective = pl_module.net, pl_module.objective
        assert isinstance(net, Attentive)
        assert isinstance(objective, Objective)
        inputs, targets = (tensor[:count] for tensor in batch)
        maps = net.attention_maps(inputs).transpose(0, 1)  # (count, layers, heads, queries, keys)
        rows = (inputs, maps, objective.predictions(outputs[:count]), targets)
        self._kept += [Example(*row) for row in zip(*(tensor.cpu() for tensor in rows), strict=True)]

    def _draw(self, stage: str, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._kept:
            net, objective = pl_module.net, pl_module.objective
            assert isinstance(net, Attentive)
            assert isinstance(objective, Objective)
            vocabulary = getattr(trainer.datamodule, "vocabulary", None)  # type: ignore[attr-defined]
            sheet = partial(draw, self._kept, objective.spec, net.patch_size, net.pooled == "first", vocabulary)
            show(sheet, f"{stage}/attention", trainer)
        self._kept = []


def draw(
    examples: list[Example], spec: DataSpec, patch_size: int, has_first: bool, vocabulary: list[str] | None
) -> Image.Image:
    """All examples on one sheet, each under what was said of it.

    Args:
        examples: At least one.
        spec: The data set's promise.
        patch_size: Side of an image's patches.
        has_first: Whether the first query and key are a place that the network added.
        vocabulary: The word of each token, where that is known.
    """
    pictures = []
    for example in examples:
        looks = example.maps[-1].float().mean(0)  # (queries, keys)
        if spec.kind == "sequence":
            picture = matrix(looks)
        elif spec.kind == "image":
            rows = example.inputs.shape[1] // patch_size
            picture = over_image(example.inputs, weights_of(looks, has_first).view(rows, -1))
        else:
            tokens = example.inputs[: max(1, int((example.inputs != PADDING).sum()))].tolist()
            words = [vocabulary[token] for token in tokens] if vocabulary else [str(token) for token in tokens]
            real = len(tokens) + has_first
            picture = behind_words(words, weights_of(looks[:real, :real], has_first), WIDTH)
        pictures.append(titled(picture, *title(example, spec)))
    return in_rows(pictures, {"tokens": 1, "image": 2}.get(spec.kind, 4))


def weights_of(looks: Tensor, has_first: bool) -> Tensor:
    """How much each place is looked at, by the first, added place or by all: (queries, keys) -> (places,)."""
    return looks[0, 1:] if has_first else looks.mean(0)


def title(example: Example, spec: DataSpec) -> tuple[str, tuple[int, int, int]]:
    """What was said of an example, with the truth in brackets where that differs, and the colour to say it in."""
    if spec.target == "values":
        said, true = (
            ", ".join(f"{value:.3g}" for value in row.tolist()) for row in (example.prediction, example.target)
        )
        return f"{said} ({true})", BLACK
    said, true = spec.class_names[int(example.prediction)], spec.class_names[int(example.target)]
    return (said, GREEN) if said == true else (f"{said} ({true})", RED)
