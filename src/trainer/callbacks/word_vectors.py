"""Initialization of a word embedding with pretrained vectors, e.g. GloVe."""

import gzip
import logging
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn

from trainer.core.callback import Callback
from trainer.core.errors import UserError
from trainer.core.spec import PADDING_INDEX, ExistingPath

log = logging.getLogger(__name__)

VectorLine = tuple[int, bytes, list[bytes]]  # line number from 1, word, cells of its vector


@runtime_checkable
class SupportsVocabulary(Protocol):
    """Data whose tokens are words, e.g. `trainer.data.imdb`."""

    vocabulary: Sequence[str]  # word of each token


class WordVectors(Callback):
    """Set the embedding of the network to vectors from a file before the training starts.

    Words that are not in the file keep their random vectors, scaled to the standard deviation of the others. If the
    run resumes from a checkpoint, the vectors of the checkpoint are used.

    Args:
        path: Text file, plain or .gz, with a word and its numbers in each line, separated by spaces (GloVe). A first
            line of two numbers (word2vec) is skipped.
        freeze: Whether the embedding is not trained; words that are not in the file then keep random vectors.

    Source:
        Pennington, Socher, Manning 2014, GloVe: Global Vectors for Word Representation.
    """

    affects_training = True

    def __init__(self, *, path: ExistingPath, freeze: bool = False) -> None:
        self.path = Path(path)
        self.freeze = freeze

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":  # a test uses the vectors of its checkpoint
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        embedding = getattr(getattr(pl_module, "net", None), "embedding", None)
        if not isinstance(data, SupportsVocabulary):
            raise UserError(
                "callbacks.word_vectors: the data have no words (no `vocabulary`); use data=imdb or data=texts"
            )
        if not isinstance(embedding, nn.Embedding):
            raise UserError("callbacks.word_vectors: the network has no word embedding; use a model that reads tokens")
        if embedding.num_embeddings < len(data.vocabulary):
            raise UserError(
                f"callbacks.word_vectors: the network's embedding has {embedding.num_embeddings} rows, but the data "
                f"have {len(data.vocabulary)} words"
            )
        if self.freeze and (ngrams := getattr(embedding, "ngrams", 1)) > 1:
            raise UserError(
                f"callbacks.word_vectors.freeze: with model.net.ngrams={ngrams} the vectors of n-grams would stay 0; "
                "expected false, or model.net.ngrams=1"
            )
        vectors = read_vectors(self.path, data.vocabulary, embedding.embedding_dim)
        fill_embedding(embedding, vectors)
        embedding.weight.requires_grad_(not self.freeze)
        if trainer.is_global_zero:
            log.info("word vectors: %s has %d of %d words", self.path, len(vectors), len(data.vocabulary))


def fill_embedding(embedding: nn.Embedding, vectors: Mapping[int, Tensor]) -> None:
    """Set the rows of tokens to their vectors, and scale all other rows to the same deviation.

    Rows of zeros stay 0: padding, and the initial vectors of n-grams.
    """
    with torch.no_grad():
        weight = embedding.weight
        rows = torch.tensor(list(vectors))
        values = torch.stack(list(vectors.values()))
        is_random = (weight != 0).any(1)
        is_random[rows] = False
        random = weight[is_random]
        if random.numel() > 1 and random.std() > 0:
            weight[is_random] = random * (values.std(correction=0) / random.std())
        weight[rows] = values.to(weight)


def read_vectors(path: Path, vocabulary: Sequence[str], size: int) -> dict[int, Tensor]:
    """Return the vectors (size,) of all words of a vocabulary that a file contains, by token.

    The first vector of a word is used. Vectors of other words are not parsed, as files contain many more words.

    Raises:
        UserError: The file is missing, its vectors have another size, a line is invalid, or it has none of the words.
    """
    tokens = {word.encode(): token for token, word in enumerate(vocabulary) if token != PADDING_INDEX}
    vectors: dict[int, Tensor] = {}
    for number, name, cells in read_lines(path, size):
        token = tokens.get(name)
        if token is None or token in vectors:
            continue
        if (vector := parse_numbers(cells)) is None:
            raise UserError(_format_line_error(path, number, size))
        vectors[token] = torch.tensor(vector)
    if not vectors:
        raise UserError(
            f"{path}: has none of the {len(vocabulary)} words of the data; expected words of the same language in "
            "lower case"
        )
    return vectors


def read_lines(path: Path, size: int) -> Iterator[VectorLine]:
    """Yield the lines of a vector file, which may be larger than the memory.

    A word may contain spaces, so its numbers are counted from the end. Words are bytes, because they may contain
    characters that Python treats as spaces or line ends.

    Raises:
        UserError: See `read_vectors`.
    """
    if not path.is_file():
        raise UserError(f"callbacks.word_vectors.path: no file '{path}'")
    is_first = True
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                cells = line.rstrip().split(b" ")
                if cells == [b""] or (number == 1 and len(cells) == 2 and all(map(bytes.isdigit, cells))):
                    continue  # an empty line, or the header of word2vec: number of vectors and their size
                if is_first and len(cells) != size + 1 and len(cells) > 1 and parse_numbers(cells[1:]):
                    raise UserError(
                        f"{path}: its vectors have {len(cells) - 1} numbers, but the network's embedding has {size}; "
                        f"set model.net.embedding={len(cells) - 1}"
                    )
                if len(cells) <= size or (is_first and not parse_numbers(cells[1:])):
                    raise UserError(_format_line_error(path, number, size))
                is_first = False
                yield number, b" ".join(cells[:-size]), cells[-size:]
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def parse_numbers(cells: Sequence[bytes]) -> list[float] | None:
    """Return the values of the cells, or None if one of them is not a finite number."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def _format_line_error(path: Path, line: int, size: int) -> str:
    return f"{path}, line {line}: expected a word and {size} numbers, separated by single spaces; fix or remove it"
