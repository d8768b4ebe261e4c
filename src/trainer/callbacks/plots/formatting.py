"""Text representation of inputs, targets and predictions for tables and titles."""

from collections.abc import Sequence

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from trainer.callbacks.plots.style import BLACK, GREEN, RED, Color
from trainer.core.formatting import format_number
from trainer.core.spec import PADDING_INDEX, DataSpec

MAX_NUMBERS = 12  # of an input
MAX_WORDS = 60


def get_vocabulary(trainer: Trainer) -> Sequence[str] | None:
    """Return the word of each token, or None if the data have no vocabulary."""
    return getattr(getattr(trainer, "datamodule", None), "vocabulary", None) or None


def format_input(inputs: Tensor, spec: DataSpec, vocabulary: Sequence[str] | None) -> str:
    """Return the first words or numbers of an input.

    Args:
        inputs: One input (*spec.shape); any number of tokens.
        spec: Specification of the data set.
        vocabulary: Word of each token; None prints the tokens.
    """
    if spec.kind == "tokens":
        tokens = [int(token) for token in inputs.tolist() if token != PADDING_INDEX]
        labels = [vocabulary[token] if vocabulary else str(token) for token in tokens[:MAX_WORDS]]
        return " ".join(labels) + " ..." * (len(tokens) > MAX_WORDS)
    numbers = inputs.flatten().tolist()
    return ", ".join(map(format_number, numbers[:MAX_NUMBERS])) + ", ..." * (len(numbers) > MAX_NUMBERS)


def format_target(target: Tensor, spec: DataSpec) -> str:
    """Return the class name or the values of a target or a prediction; of probabilities the likely classes."""
    if spec.target == "classification" and target.is_floating_point():
        likely = target.flatten() if target.dim() else torch.stack([1 - target, target])
        pairs = sorted(zip(likely.tolist(), spec.class_names, strict=True), reverse=True)
        return " ".join(f"{name} {probability:.0%}" for probability, name in pairs if probability > 0)
    if spec.target == "classification":
        return spec.class_names[int(target)]
    return ", ".join(map(format_number, target.flatten().tolist()))


def format_captions(
    predictions: Tensor, scores: Tensor, targets: Tensor | None, spec: DataSpec
) -> list[tuple[str, Color]]:
    """Return prediction, its probability and the target of each example, in green if class and target agree, else red.

    Shapes:
        predictions: (examples,) classes, or (examples, output_size) values
        scores: (examples,), not used for values
        targets: as predictions; None if they are not known
    """
    captions: list[tuple[str, Color]] = []
    for index, prediction in enumerate(predictions.cpu()):
        predicted = format_target(prediction, spec)
        caption = f"predicted {predicted}"
        color = BLACK
        if spec.target == "classification":
            caption += f" ({scores[index].item():.0%})"
        if targets is not None:
            true = format_target(targets[index].cpu(), spec)
            caption += f", true {true}"
            if spec.target == "classification":
                color = GREEN if predicted == true else RED
        captions.append((caption, color))
    return captions
