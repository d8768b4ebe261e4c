"""Embeddings of the categories of a table."""

import torch

from trainer.core.spec import DataSpec
from trainer.model.layers.category_embedding import MIN_EMBEDDED_SIZE, CategoryEmbedding


def make_spec(size, *categories):
    return DataSpec("table", "vector", (size,), "classification", 1, ("a", "b"), categories=categories)


def test_a_category_selects_a_row_of_its_embedding():
    embedding = CategoryEmbedding(make_spec(12, (1, 10)))
    inputs = torch.zeros(2, 12)
    inputs[:, 0] = torch.tensor([0.5, 0.7])
    inputs[:, 11] = torch.tensor([3.0, 4.0])
    inputs[0, 1 + 4] = 1
    outputs = embedding(inputs)
    weights = embedding.embeddings[0].weight.T  # (categories, embedded)
    assert outputs[:, :2].tolist() == inputs[:, [0, 11]].tolist()
    assert torch.equal(outputs[:, 2:], torch.stack([weights[4], torch.zeros_like(weights[4])]))  # unknown ones are 0


def test_the_size_of_an_embedding_grows_slowly():
    embedding = CategoryEmbedding(make_spec(1110, (0, 10), (10, 100), (110, 1000)))
    assert [layer.out_features for layer in embedding.embeddings] == [6, 21, 50]
    assert embedding.output_size == 77
    assert embedding(torch.zeros(3, 1110)).shape == (3, 77)


def test_short_categories_and_numbers_are_unchanged():
    embedding = CategoryEmbedding(make_spec(9, (2, MIN_EMBEDDED_SIZE - 1)))
    inputs = torch.randn(4, 9)
    assert (embedding.output_size, [*embedding.parameters()]) == (9, [])
    assert torch.equal(embedding(inputs), inputs)


def test_the_state_contains_only_the_weights():
    assert [*CategoryEmbedding(make_spec(12, (1, 10))).state_dict()] == ["embeddings.0.weight"]
