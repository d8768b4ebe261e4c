"""Synthetic batch of a data set, generated from its spec without opening the data."""

import torch

from trainer.core.spec import PADDING_INDEX, Batch, DataSpec

MAX_TEXT_TOKENS = 16


def make_synthetic_batch(spec: DataSpec, examples: int, max_tokens: int = MAX_TEXT_TOKENS) -> Batch:
    """Return a batch with the extreme values of a spec, on the default device.

    Args:
        spec: Spec of the data.
        examples: Batch size. The first example has the highest class and token indices; the others have class 0.
        max_tokens: Maximum length of the first text; the others have one token. Defaults to 16.
    """
    if spec.kind == "tokens":
        inputs = torch.full((examples, min(max_tokens, spec.shape[0])), spec.vocabulary_size - 1)
        inputs[1:, 0] = 1
        inputs[1:, 1:] = PADDING_INDEX
    else:
        low, high = spec.value_range or (0.0, 1.0)
        inputs = low + (high - low) * torch.rand(examples, *spec.shape)
    if spec.target == "regression":
        return inputs, torch.zeros(examples, spec.output_size)
    targets = torch.zeros(examples, dtype=torch.int64)
    targets[0] = len(spec.class_names) - 1
    return inputs, targets
