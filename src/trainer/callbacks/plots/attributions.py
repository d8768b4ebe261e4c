"""Images and tables of the columns, regions and words that a network uses."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from trainer.callbacks.plots.bar_chart import draw_bars
from trainer.callbacks.plots.formatting import format_captions, format_target
from trainer.callbacks.plots.heatmap import add_title, arrange_in_rows, draw_image_heatmap, draw_text_heatmap
from trainer.callbacks.plots.style import BLACK
from trainer.core.formatting import format_number
from trainer.core.spec import PADDING_INDEX
from trainer.data.io.texts.tokenization import Vocabulary
from trainer.data.preprocessing.text import TextPreprocessing
from trainer.inference.attribution.image_regions import compute_grad_cam, find_layer, integrate_gradients
from trainer.inference.attribution.permutation_importance import (
    compute_importances,
    draw_permutations,
    find_direction,
    make_score,
)
from trainer.inference.attribution.predicted_output import select_logits, select_scores
from trainer.inference.attribution.table_columns import list_columns
from trainer.inference.attribution.word_occlusion import find_words, occlude_words
from trainer.task.objective import Objective

MAX_BARS = 30
TEXT_WIDTH_PIXELS = 900


class TrainedNetwork(NamedTuple):
    """A network in evaluation mode, its predictions, which may be means over views of images, and its objective."""

    net: nn.Module
    predict: Callable[[Tensor], Tensor]
    objective: Objective


class Attributions(NamedTuple):
    """An image, and a table whose first rows are the most important ones; images of data have no table."""

    image: Image.Image
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()


def attribute_columns(
    network: TrainedNetwork,
    preprocessing: Any,
    inputs: Tensor,
    targets: Tensor,
    *,
    metric: str,
    repeats: int,
    seed: int,
) -> Attributions:
    """Return the permutation importance of each column.

    Args:
        network: Trained network.
        preprocessing: Preprocessing of the data set; None if it has none.
        inputs: Network inputs (rows, features).
        targets: Targets of the rows.
        metric: Metric of the objective, or `"loss"`.
        repeats: Number of permutations of each column.
        seed: Seed of the permutations.
    """
    objective = network.objective
    columns = list_columns(preprocessing, objective.spec)
    score = make_score(network.predict, objective, targets, metric)
    permutations = draw_permutations(len(inputs), repeats, seed)
    importances = compute_importances(score, inputs, [column.features for column in columns], permutations)
    means = importances.mean(1)
    stds = importances.std(1, correction=0)
    order = means.argsort(descending=True, stable=True)
    names = [columns[index].name for index in order]
    change = f"{'increase' if find_direction(objective, metric) == 'min' else 'decrease'} of {metric}"
    title = f"{change} ({format_number(abs(score(inputs)))}) if a column is permuted, mean and std of {repeats}"
    if len(names) > MAX_BARS:
        title += f"; {MAX_BARS} of {len(names)} columns"
    image = draw_bars(names[:MAX_BARS], means[order][:MAX_BARS], stds[order][:MAX_BARS], title)
    return Attributions(
        image, ("column", change, "std"), [*zip(names, means[order].tolist(), stds[order].tolist(), strict=True)]
    )


def attribute_regions(
    network: TrainedNetwork, images: Tensor, targets: Tensor | None, layer_name: str | None
) -> Attributions:
    """Return heatmaps over images: Grad-CAM for convolutional networks, else integrated gradients.

    Args:
        network: Trained network.
        images: Network inputs (images, channels, height, width).
        targets: Targets of the images; None if they are not known.
        layer_name: Name of the layer for Grad-CAM. None: see `find_layer`.
    """
    net, predict, objective = network
    outputs = predict(images)
    predictions = objective.predictions(outputs)

    def score(logits: Tensor) -> Tensor:
        return select_logits(logits, predictions, objective)

    layer = net.get_submodule(layer_name) if layer_name else find_layer(net, images)
    if layer:
        maps = compute_grad_cam(net, layer, images, score)
        title = f"Grad-CAM of layer {get_name(net, layer)}"
    else:
        maps = integrate_gradients(net, images, score).abs()
        title = "Integrated gradients"
    captions = format_captions(predictions, select_scores(outputs, predictions, objective), targets, objective.spec)
    tiles = [
        add_title(draw_image_heatmap(image.float(), weights, smooth=True), *caption)
        for image, weights, caption in zip(images.cpu(), maps.cpu(), captions, strict=True)
    ]
    return Attributions(add_title(arrange_in_rows(tiles, 2), title, BLACK))


def get_name(net: nn.Module, layer: nn.Module) -> str:
    """Return the name of a layer in its network."""
    return next(name for name, module in net.named_modules() if module is layer)


def attribute_words(
    network: TrainedNetwork, preprocessing: TextPreprocessing, texts: Sequence[Tensor], targets: Tensor | None
) -> Attributions:
    """Return the effect of replacing each word on the prediction.

    Args:
        network: Trained network.
        preprocessing: Preprocessing of the texts.
        texts: Tokens (time,) of each text, which may be padded.
        targets: Targets of the texts; None if they are not known.
    """
    target_rows = [None] * len(texts) if targets is None else torch.split(targets, 1)
    results = [attribute_text(network, preprocessing, *pair) for pair in zip(texts, target_rows, strict=True)]
    rows = [(number, *row) for number, result in enumerate(results, 1) for row in result.rows]
    rows.sort(key=lambda row: -abs(row[-1]))
    measure = "probability" if network.objective.spec.target == "classification" else "value"
    title = f"Decrease of the predicted {measure} without a word; orange: decrease, blue: increase"
    header = ("text", "prediction", "position", "word", f"decrease of {measure}")
    image = arrange_in_rows([result.image for result in results], 1)
    return Attributions(add_title(image, title, BLACK), header, rows)


def attribute_text(
    network: TrainedNetwork, preprocessing: TextPreprocessing, padded: Tensor, target: Tensor | None
) -> Attributions:
    """Return a text with colored words, and a row with prediction, position, word and decrease for each word.

    Args:
        network: Trained network.
        preprocessing: Preprocessing of the text.
        padded: Tokens (time,).
        target: Target of the text, (1,) or (1, output_size); None if it is not known.
    """
    objective = network.objective
    tokens = padded[: max(1, int((padded != PADDING_INDEX).sum()))]
    outputs = network.predict(tokens[None])
    prediction = objective.predictions(outputs)  # (1,), or (1, output_size) values

    def score(outputs: Tensor) -> Tensor:
        return select_scores(outputs, prediction.expand(len(outputs), *prediction.shape[1:]), objective)

    vocabulary = Vocabulary.from_text(preprocessing.vocabulary).tokens
    text_words = find_words([vocabulary[token] for token in tokens.tolist()], preprocessing.tokens)
    decreases = occlude_words(network.predict, tokens, text_words, score).cpu()
    image = draw_text_heatmap([text for text, _ in text_words], decreases, TEXT_WIDTH_PIXELS, signed=True)
    [(caption, color)] = format_captions(prediction, score(outputs), target, objective.spec)
    caption += f"   largest effect of a word: {format_number(decreases.abs().max().item())}"
    name = format_target(prediction[0].cpu(), objective.spec)
    rows = [
        (name, positions[0] + 1, text, decrease)
        for (text, positions), decrease in zip(text_words, decreases.tolist(), strict=True)
    ]
    return Attributions(add_title(image, caption, color), rows=rows)
