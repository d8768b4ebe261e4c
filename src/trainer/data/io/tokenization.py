"""Tokenization of texts into words, and encoding with a vocabulary of the most frequent words."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.core.spec import PADDING_INDEX

if TYPE_CHECKING:  # imported lazily, only by runs that read texts
    from tokenizers import Tokenizer

Keep = Literal["start", "end"]

SPECIAL_TOKENS = ("<padding>", "<unknown>")  # tokens 0 and 1; a text never contains them, as `<` is a word by itself
UNKNOWN = 1
# Words, and each punctuation mark by itself. "don't" becomes "do" and "n't", "it's" becomes "it" and "'s", as in the
# Penn Treebank and in pretrained word vectors.
WORD_PATTERN = r"\w+?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b|\w+|[^\w\s]"
REPLACEMENTS = {"<br />": " ", "\u2019": "'"}  # HTML line breaks, typographic apostrophes
ENCODE_BATCH_SIZE = 1000  # the library's result takes about 100 times the memory of the tokens

# everything besides text and vocabulary size that determines the tokens
TOKENIZER_RULES = f"tokenizers {version('tokenizers')}, {WORD_PATTERN}, {REPLACEMENTS}, {SPECIAL_TOKENS}"


class EncodedTexts(NamedTuple):
    """Concatenated tokens of texts (all tokens,), and the lengths of the texts (texts,)."""

    tokens: NDArray[np.integer]
    lengths: NDArray[np.int64]

    def pad(self, max_length: int, keep: Keep) -> Tensor:
        """Return the texts as rows (texts, max_length), padded with `PADDING_INDEX`.

        Args:
            max_length: Maximum number of words per text.
            keep: Whether the start or the end of a longer text is used.
        """
        rows = np.full((len(self.lengths), max_length), PADDING_INDEX, self.tokens.dtype)
        ends = self.lengths.cumsum()
        for row, end, length in zip(rows, ends.tolist(), self.lengths.tolist(), strict=True):
            count = min(length, max_length)
            start = end - (count if keep == "end" else length)
            row[:count] = self.tokens[start : start + count]
        return torch.from_numpy(rows)


def build_vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """Return a vocabulary: the special tokens, then words by decreasing frequency and alphabetically.

    Args:
        texts: Texts whose words are counted.
        size: Maximum number of tokens, including the special ones.
    """
    from tokenizers.trainers import WordLevelTrainer

    tokenizer = build_tokenizer(SPECIAL_TOKENS)
    tokenizer.train_from_iterator(
        texts, WordLevelTrainer(vocab_size=size, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
    )
    indices = tokenizer.get_vocab(with_added_tokens=False)
    return sorted(indices, key=indices.__getitem__)


def encode(texts: Sequence[str], vocabulary: "Sequence[str] | Tokenizer") -> EncodedTexts:
    """Encode texts as tokens; unknown words, and texts without words, become `UNKNOWN`.

    Args:
        texts: The texts.
        vocabulary: Words by token index, or the tokenizer that `build_tokenizer` returns for them.
    """
    tokenizer = build_tokenizer(vocabulary) if isinstance(vocabulary, Sequence) else vocabulary
    dtype = np.int16 if tokenizer.get_vocab_size() <= np.iinfo(np.int16).max else np.int32
    parts = [np.zeros(0, dtype)]
    lengths = []
    for start in range(0, len(texts), ENCODE_BATCH_SIZE):
        encodings = tokenizer.encode_batch_fast(texts[start : start + ENCODE_BATCH_SIZE])
        rows = [encoding.ids or [UNKNOWN] for encoding in encodings]
        parts += [np.array(row, dtype) for row in rows]
        lengths += [len(row) for row in rows]
    return EncodedTexts(np.concatenate(parts), np.array(lengths, np.int64))


def build_tokenizer(vocabulary: Sequence[str]) -> "Tokenizer":
    """Return a tokenizer that applies `REPLACEMENTS`, lower-cases texts and splits them by `WORD_PATTERN`."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    indices = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(indices, unk_token=SPECIAL_TOKENS[UNKNOWN]))
    replacements = [normalizers.Replace(old, new) for old, new in REPLACEMENTS.items()]
    tokenizer.normalizer = normalizers.Sequence([*replacements, normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD_PATTERN), "removed", invert=True)
    return tokenizer


def normalize_text(text: str) -> str:
    """Return a key that is equal for texts that differ only in case, blanks and line breaks."""
    for old, new in REPLACEMENTS.items():
        text = text.replace(old, new)
    return "".join(text.lower().split())


def is_empty(text: str) -> bool:
    """Return whether a text contains only blanks and line breaks."""
    return not text.replace("<br />", " ").strip()
