"""Occlusion of the words of a text."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.data.io.texts.tokenization import RULES, SUBWORD_PREFIX, UNKNOWN, TokenKind

FORWARD_TEXTS = 64  # texts in a forward pass

Network = Callable[[Tensor], Tensor]
Score = Callable[[Tensor], Tensor]


class Word(NamedTuple):
    """A word and the positions of its tokens in the text."""

    text: str
    positions: tuple[int, ...]


def find_words(tokens: Sequence[str], kind: TokenKind) -> list[Word]:
    """Return the words of a text; subwords are joined, and tokens of other kinds are words."""
    text_words: list[Word] = []
    for position, token in enumerate(tokens):
        if RULES[kind].has_subwords and token.startswith(SUBWORD_PREFIX) and text_words:
            first = text_words.pop()
            text_words.append(Word(first.text + token.removeprefix(SUBWORD_PREFIX), (*first.positions, position)))
        else:
            text_words.append(Word(token, (position,)))
    return text_words


def occlude_words(net: Network, tokens: Tensor, text_words: Sequence[Word], score: Score) -> Tensor:
    """Return the decrease of a score if all tokens of a word are replaced by the unknown token: (words,).

    The number of tokens stays the same. A word that the vocabulary does not contain has a decrease of 0.

    Args:
        net: Network in evaluation mode.
        tokens: Tokens of one text (time,), without padding.
        text_words: Words of the text, from `find_words`.
        score: Function that maps outputs of the network (batch, output_size) to a score of each text (batch,).

    Source:
        Li, Monroe, Jurafsky 2016, Understanding neural networks through representation erasure.
    """
    occluded = tokens.repeat(len(text_words), 1)  # (words, time)
    for row, (_, positions) in enumerate(text_words):
        occluded[row, list(positions)] = UNKNOWN
    outputs = torch.cat([net(texts) for texts in torch.split(occluded, FORWARD_TEXTS)])
    return score(net(tokens[None])) - score(outputs)
