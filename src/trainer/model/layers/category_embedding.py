"""Embeddings of the categories of a table."""

import torch
from torch import Tensor, nn

from trainer.core.spec import DataSpec

MIN_EMBEDDED_SIZE = 8  # shorter one-hot vectors stay as they are
MAX_EMBEDDING_SIZE = 50


class CategoryEmbedding(nn.Module):
    """Replaces long one-hot vectors of a table by shorter embeddings.

    Args:
        spec: Specification of the data set.

    Attributes:
        output_size: Number of outputs per example.

    Source:
        Guo, Berkhahn 2016, Entity Embeddings of Categorical Variables; size of the embeddings as in fastai.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.groups = [group for group in spec.categories if group[1] >= MIN_EMBEDDED_SIZE]
        sizes = [min(MAX_EMBEDDING_SIZE, round(1.6 * size**0.56)) for _, size in self.groups]
        self.embeddings = nn.ModuleList(
            nn.Linear(size, output_size, bias=False) for (_, size), output_size in zip(self.groups, sizes, strict=True)
        )
        for embedding in self.embeddings:
            assert isinstance(embedding, nn.Linear)
            nn.init.normal_(embedding.weight)
        embedded = {index for start, size in self.groups for index in range(start, start + size)}
        kept = [index for index in range(spec.shape[0]) if index not in embedded]
        self.kept: Tensor
        self.register_buffer("kept", torch.tensor(kept, dtype=torch.long), persistent=False)
        self.output_size = len(kept) + sum(sizes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the embeddings.

        Shapes:
            inputs: (batch, features)
            returns: (batch, output_size)
        """
        parts = [inputs[:, self.kept]]
        for (start, size), embedding in zip(self.groups, self.embeddings, strict=True):
            parts.append(embedding(inputs[:, start : start + size]))
        return torch.cat(parts, 1)
