"""Images and tables of the columns, regions and words that a network uses."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image
from torch import Tensor, nn

from trainer.callbacks.plots.bar_chart import draw_bars
from trainer.callbacks.plots.formatting import format_target
from trainer.callbacks.plots.heatmap import add_title, arrange_in_rows, draw_image_heatmap, draw_text_heatmap
from trainer.callbacks.plots.line_chart import BLACK, Color
from trainer.callbacks.prediction_images import GREEN, RED
from trainer.core.formatting import format_number
from trainer.core.spec import PADDING_INDEX, DataSpec
from trainer.data.text_base import TextData
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
from trainer.task.supervised import Supervised

MAX_BARS = 30
TEXT_WIDTH_PIXELS = 900


class Attributions(NamedTuple):
    """An image, and a table whose first rows are the most important ones; images of data have no table."""

    image: Image.Image
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()


def attribute_columns(
    task: Supervised, preprocessing: Any, inputs: Tensor, targets: Tensor, *, metric: str, repeats: int, seed: int
) -> Attributions:
    """Return the permutation importance of each column.

    Args:
        task: Task with the trained network.
        preprocessing: Preprocessing of the data set; None if it has none.
        inputs: Network inputs (rows, features).
        targets: Targets of the rows.
        metric: Metric of the objective, or `"loss"`.
        repeats: Number of permutations of each column.
        seed: Seed of the permutations.
    """
    objective = task.objective
    columns = list_columns(preprocessing, objective.spec)
    score = make_score(task, objective, targets, metric)
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


def attribute_regions(task: Supervised, images: Tensor, targets: Tensor, layer_name: str | None) -> Attributions:
    """Return heatmaps over images: Grad-CAM for convolutional networks, else integrated gradients.

    Args:
        task: Task with the trained network.
        images: Network inputs (images, channels, height, width).
        targets: Targets of the images.
        layer_name: Name of the layer for Grad-CAM. None: see `find_layer`.
    """
    objective = task.objective
    outputs = task(images)
    predictions = objective.predictions(outputs)

    def score(logits: Tensor) -> Tensor:
        return select_logits(logits, predictions, objective)

    layer = task.net.get_submodule(layer_name) if layer_name else find_layer(task.net, images)
    if layer:
        maps = compute_grad_cam(task.net, layer, images, score)
        title = f"Grad-CAM of layer {get_name(task.net, layer)}"
    else:
        maps = integrate_gradients(task.net, images, score).abs()
        title = "Integrated gradients"
    captions = format_captions(predictions, targets, select_scores(outputs, predictions, objective), objective.spec)
    tiles = [
        add_title(draw_image_heatmap(image.float(), weights, smooth=True), *caption)
        for image, weights, caption in zip(images.cpu(), maps.cpu(), captions, strict=True)
    ]
    return Attributions(add_title(arrange_in_rows(tiles, 2), title, BLACK))


def get_name(net: nn.Module, layer: nn.Module) -> str:
    """Return the name of a layer in its network."""
    return next(name for name, module in net.named_modules() if module is layer)


def attribute_words(
    task: Supervised, data: TextData, texts: Sequence[Tensor], targets: Sequence[Tensor]
) -> Attributions:
    """Return the effect of replacing each word on the prediction.

    Args:
        task: Task with the trained network.
        data: Data set of the texts.
        texts: Tokens (time,) of each text, which may be padded.
        targets: Target of each text.
    """
    results = [attribute_text(task, data, tokens, target) for tokens, target in zip(texts, targets, strict=True)]
    rows = [(number, *row) for number, result in enumerate(results, 1) for row in result.rows]
    rows.sort(key=lambda row: -abs(row[-1]))
    measure = "probability" if task.objective.spec.target == "classification" else "value"
    title = f"Decrease of the predicted {measure} without a word; orange: decrease, blue: increase"
    header = ("text", "prediction", "position", "word", f"decrease of {measure}")
    image = arrange_in_rows([result.image for result in results], 1)
    return Attributions(add_title(image, title, BLACK), header, rows)


def attribute_text(task: Supervised, data: TextData, padded: Tensor, target: Tensor) -> Attributions:
    """Return a text with colored words, and a row with prediction, position, word and decrease for each word.

    Args:
        task: Task with the trained network.
        data: Data set of the text.
        padded: Tokens (time,).
        target: Target of the text.
    """
    spec = task.objective.spec
    tokens = padded[: max(1, int((padded != PADDING_INDEX).sum()))]
    outputs = task(tokens[None])
    prediction = task.objective.predictions(outputs)  # (1,), or (1, output_size) values

    def score(outputs: Tensor) -> Tensor:
        return select_scores(outputs, prediction.expand(len(outputs), *prediction.shape[1:]), task.objective)

    text_words = find_words([data.vocabulary[token] for token in tokens.tolist()], data.preprocessing.tokens)
    decreases = occlude_words(task, tokens, text_words, score).cpu()
    image = draw_text_heatmap([text for text, _ in text_words], decreases, TEXT_WIDTH_PIXELS, signed=True)
    [(caption, color)] = format_captions(prediction, target[None], score(outputs), spec)
    caption += f"   largest effect of a word: {format_number(decreases.abs().max().item())}"
    name = format_target(prediction[0].cpu(), spec)
    rows = [
        (name, positions[0] + 1, text, decrease)
        for (text, positions), decrease in zip(text_words, decreases.tolist(), strict=True)
    ]
    return Attributions(add_title(image, caption, color), rows=rows)


def format_captions(predictions: Tensor, targets: Tensor, scores: Tensor, spec: DataSpec) -> list[tuple[str, Color]]:
    """Return prediction, its probability and the true class of each example, green if they agree and else red."""
    captions: list[tuple[str, Color]] = []
    for prediction, target, score in zip(predictions.cpu(), targets.cpu(), scores.cpu().tolist(), strict=True):
        predicted = format_target(prediction, spec)
        true = format_target(target, spec)
        if spec.target == "classification":
            captions.append((f"predicted {predicted} ({score:.0%}), true {true}", GREEN if predicted == true else RED))
        else:
            captions.append((f"predicted {predicted}, true {true}", BLACK))
    return captions
