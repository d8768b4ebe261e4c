"""Attention maps of a network, drawn over images, texts and sequences in TensorBoard."""

from collections import Counter
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from trainer.callbacks.plots.formatting import format_captions
from trainer.callbacks.plots.heatmap import (
    add_title,
    arrange_in_rows,
    draw_image_heatmap,
    draw_matrix_heatmap,
    draw_text_heatmap,
)
from trainer.callbacks.plots.media import log_image
from trainer.core.callback import Callback
from trainer.core.spec import PADDING_INDEX, Batch, DataSpec
from trainer.inference.attribution.predicted_output import select_scores
from trainer.task.objective import Objective
from trainer.task.objective_lookup import find_objective

TEXT_WIDTH_PIXELS = 900


@runtime_checkable
class SupportsAttentionMaps(Protocol):
    """A network that returns its attention weights, e.g. `trainer.model.attention`."""

    patch_size: int
    pooling: str  # "first": the network adds a first position, and its output is computed from it

    def attention_maps(self, inputs: Tensor) -> Tensor:
        """Return weights (layers, batch, heads, queries, keys); each row sums to 1 and is 0 at padding."""
        ...


class Example(NamedTuple):
    """One input (*spec.shape), its attention maps (layers, heads, queries, keys), and results of the network.

    The score of the predicted class is not used for values.
    """

    inputs: Tensor
    maps: Tensor
    prediction: Tensor
    score: Tensor
    target: Tensor


class AttentionMaps(Callback):
    """Draw the attention of a network as `test/attention`, and as `val/attention` after the last of `max_epochs`.

    The weights are those of the last layer, averaged over its heads. The weight of an image patch or a token is the
    attention that it gets from the added first position, if the network has one, else the mean over all positions.
    For sequences the matrix of all weights is drawn. The examples are spread evenly over the split, because texts are
    sorted by length. Networks that are not `SupportsAttentionMaps` get no image.

    Args:
        examples: Number of examples.
    """

    affects_training = False

    def __init__(self, *, examples: int = 4) -> None:
        self.examples = examples
        self._example_counts: Counter[int] = Counter()  # number of examples by batch index
        self._collected: list[Example] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        last = not trainer.sanity_checking and trainer.current_epoch + 1 == trainer.max_epochs
        self._select_examples(trainer.num_val_batches if last else [0], pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._select_examples(trainer.num_test_batches, pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        count = self._example_counts[batch_idx]
        objective = find_objective(pl_module, outputs, batch)
        if not (count and objective and trainer.is_global_zero):
            return
        net = pl_module.net
        assert isinstance(net, SupportsAttentionMaps)
        inputs, targets = (tensor[:count] for tensor in batch)
        maps = net.attention_maps(inputs).transpose(0, 1)  # (count, layers, heads, queries, keys)
        outputs = outputs[:count]
        predictions = objective.predictions(outputs)
        columns = (inputs, maps, predictions, select_scores(outputs, predictions, objective), targets)
        self._collected += [Example(*row) for row in zip(*(tensor.cpu() for tensor in columns), strict=True)]

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw("test", trainer, pl_module)

    def _select_examples(self, batch_counts: Any, pl_module: LightningModule) -> None:
        count = batch_counts[0]  # one entry for each data loader
        is_supported = count and isinstance(getattr(pl_module, "net", None), SupportsAttentionMaps)
        indices = range(self.examples) if is_supported else ()
        self._example_counts = Counter(index * count // self.examples for index in indices)

    def _draw(self, stage: str, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._collected:
            net = pl_module.net
            objective = pl_module.objective
            assert isinstance(net, SupportsAttentionMaps)
            assert isinstance(objective, Objective)
            vocabulary = getattr(trainer.datamodule, "vocabulary", None)  # type: ignore[attr-defined]
            draw = partial(
                draw_examples, self._collected, objective.spec, net.patch_size, net.pooling == "first", vocabulary
            )
            log_image(draw, f"{stage}/attention", trainer)
        self._collected = []


def draw_examples(
    examples: list[Example], spec: DataSpec, patch_size: int, has_first: bool, vocabulary: list[str] | None
) -> Image.Image:
    """Return an image of all examples, each below its prediction.

    Args:
        examples: At least one example.
        spec: Specification of the data set.
        patch_size: Side of an image patch in pixels.
        has_first: True if the first query and key are a position that the network added.
        vocabulary: Word of each token; None if unknown.
    """
    images = []
    for example in examples:
        weights = example.maps[-1].float().mean(0)  # (queries, keys)
        if spec.kind == "sequence":
            image = draw_matrix_heatmap(weights)
        elif spec.kind == "image":
            rows = example.inputs.shape[1] // patch_size
            image = draw_image_heatmap(example.inputs, compute_key_weights(weights, has_first).view(rows, -1))
        else:
            image = _draw_text_map(example.inputs, weights, has_first, vocabulary)
        [caption] = format_captions(example.prediction[None], example.score[None], example.target[None], spec)
        images.append(add_title(image, *caption))
    return arrange_in_rows(images, {"tokens": 1, "image": 2}.get(spec.kind, 4))


def _draw_text_map(inputs: Tensor, weights: Tensor, has_first: bool, vocabulary: list[str] | None) -> Image.Image:
    tokens = inputs[: max(1, int((inputs != PADDING_INDEX).sum()))].tolist()
    labels = [vocabulary[token] for token in tokens] if vocabulary else [str(token) for token in tokens]
    length = len(tokens) + has_first
    return draw_text_heatmap(labels, compute_key_weights(weights[:length, :length], has_first), TEXT_WIDTH_PIXELS)


def compute_key_weights(weights: Tensor, has_first: bool) -> Tensor:
    """Return the attention that each key gets from the added first query, or on average: (queries, keys) -> (keys,)."""
    return weights[0, 1:] if has_first else weights.mean(0)
