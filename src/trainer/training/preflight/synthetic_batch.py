"""A synthetic batch of a data set that has not been opened, made from its spec."""

import torch

from trainer.core.spec import PADDING, Batch, DataSpec

LONGEST = 16  # tokens of a text


def made_up(spec: DataSpec, examples: int, longest: int = LONGEST) -> Batch:
    """Return a batch that keeps the promise to its limits, on the default device.

    Args:
        spec: The promise.
        examples: The first one is of the highest class, and its tokens are the highest; the others are of class 0.
        longest: Tokens of the first text, at most; the others have one.
    """
    if spec.kind == "tokens":
        inputs = torch.full((examples, min(longest, spec.shape[0])), spec.vocabulary_size - 1)
        inputs[1:, 0] = 1
        inputs[1:, 1:] = PADDING
    else:
        low, high = spec.value_range or (0.0, 1.0)
        inputs = low + (high - low) * torch.rand(examples, *spec.shape)
    if spec.target == "values":
        return inputs, torch.zeros(examples, spec.output_size)
    targets = torch.zeros(examples, dtype=torch.int64)
    targets[0] = (len(spec.class_names) or max(spec.output_size, 2)) - 1
    return inputs, targets
