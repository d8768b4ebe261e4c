"""Word vectors: what a network knows of words at the start, read from a file like GloVe's."""

import gzip
import logging
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import PADDING, ExistingPath

log = logging.getLogger(__name__)

Line = tuple[int, bytes, list[bytes]]  # number from 1, word, its numbers


@runtime_checkable
class Words(Protocol):
    """Data whose tokens are words: `trainer.data.imdb`, or a data module of your own."""

    vocabulary: Sequence[str]  # the words by their token


class WordVectors(Callback):
    """Fill the network's embedding with vectors from a file, before training begins.

    Words that the file does not have keep their random vectors, brought to the same deviation as those found. A
    checkpoint that the run goes on from comes after this and wins.

    Args:
        path: A text file, plain or .gz; in each line a word and its numbers with blanks between, as GloVe's have it. A
            first line of two numbers, as word2vec's have it, is passed over.
        freeze: Whether the embedding stays as it is then, and is not trained: unfound words, too, stay random.

    Source:
        Pennington, Socher, Manning 2014, GloVe: Global Vectors for Word Representation.
    """

    affects_training = True

    def __init__(self, *, path: ExistingPath, freeze: bool = False) -> None:
        self.path, self.freeze = Path(path), freeze

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":  # a test is of a checkpoint, which has its own
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        embedding = getattr(getattr(pl_module, "net", None), "embedding", None)
        if not isinstance(data, Words):
            raise UserError("callbacks.word_vectors: these data have no words (no `vocabulary`); take data=imdb")
        if not isinstance(embedding, nn.Embedding):
            raise UserError(
                "callbacks.word_vectors: this network has no embedding of words; take a model that reads tokens"
            )
        if embedding.num_embeddings < len(data.vocabulary):
            raise UserError(
                f"callbacks.word_vectors: the network's embedding has {embedding.num_embeddings} rows, but the data "
                f"have {len(data.vocabulary)} words"
            )
        found = read_vectors(self.path, data.vocabulary, embedding.embedding_dim)
        fill(embedding, found)
        embedding.weight.requires_grad_(not self.freeze)
        if trainer.is_global_zero:
            log.info("word vectors: %s has %d of %d words", self.path, len(found), len(data.vocabulary))


def fill(embedding: nn.Embedding, vectors: Mapping[int, Tensor]) -> None:
    """Put vectors into the rows of their tokens; all other rows but that of padding get the same deviation."""
    with torch.no_grad():
        weight = embedding.weight
        rows, known = torch.tensor(list(vectors)), torch.stack(list(vectors.values()))
        others = torch.ones(len(weight), dtype=torch.bool)
        others[rows], others[PADDING] = False, False
        random = weight[others]
        if random.numel() > 1 and random.std() > 0:
            weight[others] = random * (known.std(correction=0) / random.std())
        weight[rows] = known.to(weight)


def read_vectors(path: Path, vocabulary: Sequence[str], size: int) -> dict[int, Tensor]:
    """The vectors (size,) of those words of a vocabulary that a file has, by token; the first of a word counts.

    Of all other words no number is looked at: files hold many more of them than a vocabulary does.

    Raises:
        UserError: No such file, vectors of another size, a line that is no vector, or not one word found.
    """
    tokens = {word.encode(): token for token, word in enumerate(vocabulary) if token != PADDING}
    found: dict[int, Tensor] = {}
    for number, word, cells in lines(path, size):
        token = tokens.get(word)
        if token is None or token in found:
            continue
        if (vector := numbers(cells)) is None:
            raise UserError(_no_vector(path, number, size))
        found[token] = torch.tensor(vector)
    if not found:
        raise UserError(
            f"{path}: has none of the {len(vocabulary)} words of the data; are its words of the same language, and "
            "in lower case?"
        )
    return found


def lines(path: Path, size: int) -> Iterator[Line]:
    """The lines of a file of vectors, one at a time: it may be larger than the memory.

    A word may have blanks in it, so its numbers are counted from the end. Words are bytes: they may hold any
    character, those that Python takes for blanks or for ends of lines among them.

    Raises:
        UserError: See `read_vectors`.
    """
    if not path.is_file():
        raise UserError(f"callbacks.word_vectors.path: no file '{path}'")
    seen = False
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                cells = line.rstrip().split(b" ")
                if cells == [b""] or (number == 1 and len(cells) == 2 and all(map(bytes.isdigit, cells))):
                    continue  # an empty line; or the first of word2vec: how many vectors, and their size
                if not seen and len(cells) != size + 1 and len(cells) > 1 and numbers(cells[1:]):
                    raise UserError(
                        f"{path}: its vectors have {len(cells) - 1} numbers, but the network's embedding has {size}; "
                        f"set model.net.embedding={len(cells) - 1}"
                    )
                if len(cells) <= size or not (seen or numbers(cells[1:])):
                    raise UserError(_no_vector(path, number, size))
                seen = True
                yield number, b" ".join(cells[:-size]), cells[-size:]
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def numbers(cells: Sequence[bytes]) -> list[float] | None:
    """What the cells spell; None if one of them is no number."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def _no_vector(path: Path, line: int, size: int) -> str:
    return f"{path}, line {line}: not a word and {size} numbers, with single blanks between; mend or remove it"
