"""Rows of the n-grams of a text in an embedding, and the embedding of words with the n-grams that start there."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import PADDING_INDEX, DataSpec
from trainer.model.layers.sequence_masking import STD

# The hash of an n-gram is a polynomial of its tokens modulo a prime; the products fit in 64 bits.
HASH_PRIME = 2**31 - 1
HASH_FACTOR = 1_000_003_049
DEFAULT_BUCKETS = 100_000


class NgramEmbedding(nn.Embedding):
    """Sum of the vectors of a word and of the n-grams of up to `ngrams` words that start with it.

    Words have the rows of their tokens; longer n-grams are hashed into `buckets` rows, as in fastText. Vectors of words
    are initially small and random, those of longer n-grams are 0; the vector of padding is always 0.

    Args:
        vocabulary_size: Number of distinct tokens.
        width: Width of the vectors.
        ngrams: Maximum number of words of an n-gram; 1 are single words. Defaults to 1.
        buckets: Number of rows for n-grams of several words; n-grams in the same row cannot be distinguished. Not used
            if `ngrams` is 1. None: 100,000.

    Source:
        Joulin, Grave, Bojanowski, Mikolov 2017, Bag of tricks for efficient text classification.
    """

    def __init__(self, vocabulary_size: int, width: int, ngrams: int = 1, buckets: int | None = None) -> None:
        buckets = DEFAULT_BUCKETS if buckets is None else buckets
        rows = count_ngram_rows(vocabulary_size, ngrams, buckets)
        super().__init__(rows, width, padding_idx=PADDING_INDEX)
        self.vocabulary_size = vocabulary_size
        self.ngrams = ngrams
        self.buckets = buckets
        with torch.no_grad():
            self.weight[:vocabulary_size] *= STD
            self.weight[vocabulary_size:] = 0

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute the vectors of all positions: (batch, time) -> (batch, time, width)."""
        if self.ngrams == 1:
            return super().forward(tokens)
        rows = torch.stack(find_ngram_rows(tokens, self.ngrams, self.vocabulary_size, self.buckets), 2)
        return super().forward(rows).sum(2)  # of (batch, time, ngrams, width)


def validate_ngrams(spec: DataSpec, ngrams: int, buckets: int | None) -> None:
    """Raise an error for sizes below 1, for buckets without effect, and for n-grams of inputs that are not tokens."""
    if ngrams < 1 or (buckets is not None and buckets < 1):
        raise UserError("model.net.ngrams and model.net.buckets: must be at least 1")
    if ngrams == 1 and buckets is not None:
        raise UserError("model.net.buckets: has no effect with ngrams=1; expected null, or model.net.ngrams=2")
    if ngrams > 1 and spec.kind != "tokens":
        raise MismatchError(
            f"model.net.ngrams: {ngrams} needs texts; expected 1 for data '{spec.name}' of kind {spec.kind}"
        )


def count_ngram_rows(vocabulary_size: int, ngrams: int, buckets: int) -> int:
    """Return the number of rows of words and buckets."""
    return vocabulary_size + (buckets if ngrams > 1 else 0)


def find_ngram_rows(tokens: Tensor, ngrams: int, first_bucket: int, buckets: int) -> list[Tensor]:
    """Return the rows of the n-grams of each length that start at each position; padding if the text ends before.

    Args:
        tokens: Tokens.
        ngrams: Maximum number of words of an n-gram.
        first_bucket: Row of the first bucket.
        buckets: Number of rows for n-grams of several words.

    Shapes:
        tokens: (batch, time)
        returns: `ngrams` tensors (batch, time); the first one is `tokens`
    """
    time = tokens.shape[1]
    padded = F.pad(tokens, (0, ngrams - 1), value=PADDING_INDEX)
    hashes = tokens
    rows = [tokens]
    for length in range(1, ngrams):
        last = padded[:, length : length + time]  # the last word of each n-gram
        hashes = (hashes * HASH_FACTOR + last) % HASH_PRIME
        rows.append(torch.where(last == PADDING_INDEX, PADDING_INDEX, first_bucket + hashes % buckets))
    return rows
