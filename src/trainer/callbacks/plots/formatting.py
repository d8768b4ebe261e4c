"""Examples in words: what an input, a target and a prediction are called where they stand in a table."""

from collections.abc import Sequence

from pytorch_lightning import Trainer
from torch import Tensor

from trainer.callbacks.plots.tensorboard import number
from trainer.core.spec import PADDING, DataSpec

NUMBERS, WORDS = 12, 60  # of an input, at most


def vocabulary_of(trainer: Trainer) -> Sequence[str] | None:
    """The word of each token, where the data know it."""
    found: Sequence[str] | None = getattr(getattr(trainer, "datamodule", None), "vocabulary", None)
    return found or None


def told_input(inputs: Tensor, spec: DataSpec, vocabulary: Sequence[str] | None) -> str:
    """One input, its beginning: words, or numbers.

    Args:
        inputs: (*spec.shape); of tokens any number.
        spec: The data set's promise.
        vocabulary: The word of each token; None writes the tokens.
    """
    if spec.kind == "tokens":
        tokens = [int(token) for token in inputs.tolist() if token != PADDING]
        words = [vocabulary[token] if vocabulary else str(token) for token in tokens[:WORDS]]
        return " ".join(words) + " ..." * (len(tokens) > WORDS)
    numbers = inputs.flatten().tolist()
    return ", ".join(map(number, numbers[:NUMBERS])) + ", ..." * (len(numbers) > NUMBERS)


def told_target(target: Tensor, spec: DataSpec) -> str:
    """A class by its name, or values: of a target, and of a prediction."""
    if spec.target == "classes":
        return spec.class_names[int(target)]
    return ", ".join(map(number, target.flatten().tolist()))
