"""Training examples whose metrics are compared with those of the validation."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from trainer.data.loading.split import Split, Stage


def sample_training_examples(splits: Mapping[Stage, Split], examples: int, batch_size: int) -> Iterator[Split]:
    """Yield training examples, the same ones in each call.

    There are no more than validation examples, so that they take no longer than a validation.

    Args:
        splits: Splits of the data.
        examples: Largest number of examples.
        batch_size: Examples of a batch.
    """
    inputs, targets = splits["train"]
    examples = min(examples, len(splits["val"].targets))
    chosen = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))[:examples]
    indices: Tensor
    for indices in torch.split(chosen.sort().values, batch_size):
        yield Split(inputs[indices], targets[indices])
