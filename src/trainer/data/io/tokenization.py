"""Texts: cut into words, the most frequent words numbered, and rows of such numbers."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.core.spec import PADDING

if TYPE_CHECKING:  # imported where texts are read: no other run has to wait for it
    from tokenizers import Tokenizer

Keep = Literal["start", "end"]

SPECIAL = ("<padding>", "<unknown>")  # tokens 0 and 1; in a text these are four and five words, so none is mistaken
UNKNOWN = 1
# Words, and each punctuation mark by itself. "don't" is "do" and "n't", "it's" is "it" and "'s": so do the Penn
# Treebank and the word vectors that were learnt on texts cut like it, and a negation stays a word of its own.
WORD = r"\w+?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b|\w+|[^\w\s]"
REPLACED = {"<br />": " ", "\u2019": "'"}  # line breaks of web pages; the apostrophe of typesetters
AT_ONCE = 1000  # texts; what the library tells of each word takes a hundred times the room of its number

# Whatever decides which numbers a text becomes, beside the text and the size of the vocabulary.
RULES = f"tokenizers {version('tokenizers')}, {WORD}, {REPLACED}, {SPECIAL}"


class Encoded(NamedTuple):
    """Texts as numbers of words, whole and one after the other: tokens (all words,), lengths (texts,)."""

    tokens: NDArray[np.integer]
    lengths: NDArray[np.int64]

    def rows(self, max_length: int, keep: Keep) -> Tensor:
        """The texts as rows (texts, max_length), with `PADDING` behind the shorter ones.

        Args:
            max_length: Words that are kept of a text.
            keep: Whether they are those at its start or at its end.
        """
        rows = np.full((len(self.lengths), max_length), PADDING, self.tokens.dtype)
        ends = self.lengths.cumsum()
        for row, end, length in zip(rows, ends.tolist(), self.lengths.tolist(), strict=True):
            kept = min(length, max_length)
            first = end - (kept if keep == "end" else length)
            row[:kept] = self.tokens[first : first + kept]
        return torch.from_numpy(rows)


def most_frequent_words(texts: Sequence[str], size: int) -> list[str]:
    """A vocabulary: the special words, and then the most frequent ones, of equally frequent ones the first by letters.

    Args:
        texts: Where the words are counted.
        size: Words at most, the special ones included.
    """
    from tokenizers.trainers import WordLevelTrainer

    counting = tokenizer(SPECIAL)
    counting.train_from_iterator(
        texts, WordLevelTrainer(vocab_size=size, special_tokens=list(SPECIAL), show_progress=False)
    )
    numbers = counting.get_vocab(with_added_tokens=False)
    return sorted(numbers, key=numbers.__getitem__)


def encode(texts: Sequence[str], vocabulary: "Sequence[str] | Tokenizer") -> Encoded:
    """Texts as numbers of words; a word that is not in the vocabulary, or a text without any, becomes `UNKNOWN`.

    Args:
        texts: Any texts.
        vocabulary: Its words in order, the special ones first; or what `tokenizer` made of them.
    """
    cutting = tokenizer(vocabulary) if isinstance(vocabulary, Sequence) else vocabulary
    dtype = np.int16 if cutting.get_vocab_size() <= np.iinfo(np.int16).max else np.int32
    parts, lengths = [np.zeros(0, dtype)], []
    for start in range(0, len(texts), AT_ONCE):
        rows = [one.ids or [UNKNOWN] for one in cutting.encode_batch_fast(texts[start : start + AT_ONCE])]
        parts += [np.array(row, dtype) for row in rows]
        lengths += [len(row) for row in rows]
    return Encoded(np.concatenate(parts), np.array(lengths, np.int64))


def tokenizer(vocabulary: Sequence[str]) -> "Tokenizer":
    """What cuts texts into words, in lower case and without the line breaks of web pages, and numbers them."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    numbers = {word: number for number, word in enumerate(vocabulary)}
    made = Tokenizer(models.WordLevel(numbers, unk_token=SPECIAL[UNKNOWN]))
    replaced = [normalizers.Replace(old, new) for old, new in REPLACED.items()]
    made.normalizer = normalizers.Sequence([*replaced, normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "removed", invert=True)
    return made


def same(text: str) -> str:
    """A key that is equal for texts which differ at most in case, blanks and line breaks."""
    for old, new in REPLACED.items():
        text = text.replace(old, new)
    return "".join(text.lower().split())


def is_empty(text: str) -> bool:
    """Whether nothing is left of a text without its blanks and line breaks."""
    return not text.replace("<br />", " ").strip()
