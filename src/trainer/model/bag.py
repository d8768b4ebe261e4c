"""Network on the set of words and n-grams of a text, with learned vectors or naive Bayes weights."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import PADDING_INDEX, Batch, DataSpec
from trainer.model.layers.dense import Activation, make_dense
from trainer.model.layers.ngram_embedding import count_ngram_rows, find_ngram_rows
from trainer.model.layers.sequence_masking import make_token_embedding

DEFAULT_WIDTH = 32  # of the vectors
SMOOTHING = 1.0  # texts of each class that are added to the count of every n-gram


class Bag(nn.Module):
    """Network on the set of the n-grams of a text: its words and its sequences of up to `ngrams` words.

    Words have the rows of their tokens; longer n-grams are hashed into `buckets` rows, as in fastText. Each n-gram of a
    text is used once. The output is computed from the mean of the vectors of the n-grams.

    With `naive_bayes`, it is the sum of the log-count ratios of the n-grams, as in naive Bayes, each times a learned
    weight that is initially 0 (NB-SVM, here with the loss of the objective). The ratios are computed from the training
    examples before the first step, see `compute_statistics`, and stored in checkpoints.

    Args:
        spec: Specification of the data set: tokens.
        ngrams: Maximum number of words of an n-gram; 1 are single words.
        buckets: Number of rows for n-grams of several words; n-grams in the same row cannot be distinguished.
        naive_bayes: Whether the outputs are naive Bayes scores with learned weights; only for classes.
        embedding: Width of the vectors; not with `naive_bayes`. None: 32.
        word_dropout: Probability in [0, 1) that an n-gram of a text is dropped in a training step.
        dropout: Dropout probability in [0, 1) before each dense layer; not with `naive_bayes`.
        head: Widths of the dense layers between the mean and the output; not with `naive_bayes`.
        activation: Activation after each layer of the head.

    Raises:
        UserError: `ngrams`, `buckets` or `embedding` is below 1, or `naive_bayes` is used for values, or with `head` or
            `dropout`.

    Source:
        Joulin, Grave, Bojanowski, Mikolov 2017, Bag of tricks for efficient text classification; Wang and Manning 2012,
        Baselines and bigrams, for `naive_bayes`; Iyyer et al. 2015, Deep unordered composition rivals syntactic
        methods, for `word_dropout`.
    """

    ratios: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        ngrams: int = 2,
        buckets: int = 100_000,
        naive_bayes: bool = False,
        embedding: int | None = None,
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        head: Sequence[int] = (),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        spec.require("bag", "tokens")
        if naive_bayes and embedding is not None:
            raise UserError("model.net.embedding: has no effect with naive_bayes=true; expected null")
        embedding = DEFAULT_WIDTH if embedding is None else embedding
        if min(ngrams, buckets, embedding) < 1:
            raise UserError("model.net.ngrams, model.net.buckets and model.net.embedding: must be at least 1")
        if naive_bayes and spec.target != "classification":
            raise UserError("model.net.naive_bayes: needs classes; expected false for data with values as targets")
        if naive_bayes and (head or dropout):
            raise UserError(
                "model.net.head and model.net.dropout: have no effect with naive_bayes=true; expected [] and 0"
            )
        self.ngrams = ngrams
        self.buckets = buckets
        self.first_bucket = spec.vocabulary_size
        self.naive_bayes = naive_bayes
        rows = count_ngram_rows(spec.vocabulary_size, ngrams, buckets)
        self.embedding = make_token_embedding(rows, spec.output_size if naive_bayes else embedding)
        self.word_dropout = nn.Dropout(word_dropout)
        if naive_bayes:
            nn.init.zeros_(self.embedding.weight)
            self.register_buffer("ratios", torch.ones(rows, spec.output_size))  # set by `compute_statistics`
            self.bias = nn.Parameter(torch.zeros(spec.output_size))
        else:
            self.head = make_dense([embedding, *head, spec.output_size], activation, dropout=dropout)
            if dropout:
                self.head.insert(0, nn.Dropout(dropout))

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the outputs: tokens (batch, time) -> (batch, output_size)."""
        rows = self.find_rows(inputs)  # (batch, n-grams)
        vectors = self.embedding(rows)  # (batch, n-grams, embedding or output_size)
        if self.naive_bayes:
            vectors = vectors * F.embedding(rows, self.ratios)
        is_used = (rows != PADDING_INDEX).to(vectors.dtype)
        total = (self.word_dropout(is_used)[:, None] @ vectors).squeeze(1)  # (batch, embedding or output_size)
        if self.naive_bayes:
            return total + self.bias
        return self.head(total / is_used.sum(1, keepdim=True).clamp(min=1))

    def find_rows(self, tokens: Tensor) -> Tensor:
        """Return the rows of the distinct n-grams of each text in ascending order, and padding for repeated ones.

        Shapes:
            tokens: (batch, time)
            returns: (batch, n-grams)
        """
        parts = find_ngram_rows(tokens, self.ngrams, self.first_bucket, self.buckets)
        rows = torch.cat(parts, 1).sort(1).values
        is_repeated = rows[:, 1:] == rows[:, :-1]
        return torch.cat([rows[:, :1], rows[:, 1:].masked_fill(is_repeated, PADDING_INDEX)], 1)

    def compute_statistics(self, batches: Iterable[Batch]) -> None:
        """Compute the log-count ratios of the training examples, if `naive_bayes` is set.

        The ratio of an n-gram and a class is log(p / q). p is the fraction of the n-gram among those of the class, q
        among those of all other classes; each text counts an n-gram once.

        Args:
            batches: Tokens and classes of all training examples.
        """
        if not self.naive_bayes:
            return
        outputs = self.bias.shape[0]
        classes = max(outputs, 2)
        counts = torch.zeros(len(self.ratios) * classes)
        for tokens, targets in batches:
            rows = self.find_rows(tokens)  # (batch, n-grams)
            cells = (rows * classes + targets[:, None])[rows != PADDING_INDEX]
            counts.index_add_(0, cells, torch.ones(len(cells)))
        counts = counts.view(-1, classes)[PADDING_INDEX + 1 :]
        others = counts.sum(1, keepdim=True) - counts + SMOOTHING
        counts = counts + SMOOTHING
        ratios = (counts / counts.sum(0)).log() - (others / others.sum(0)).log()  # (rows without padding, classes)
        self.ratios[PADDING_INDEX] = 0
        self.ratios[PADDING_INDEX + 1 :] = ratios[:, -outputs:]  # for two classes, those of the second one
