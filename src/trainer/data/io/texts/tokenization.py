"""Tokenization of texts into words, characters or subwords, and encoding with a vocabulary of frequent tokens."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.core.spec import PADDING_INDEX
from trainer.data.io.tables.number_format import INVISIBLE_CHARACTERS

if TYPE_CHECKING:  # imported lazily, only by runs that read texts
    from tokenizers import Tokenizer

Keep = Literal["start", "end"]
TokenKind = Literal["reviews", "words", "characters", "subwords"]

SPECIAL_TOKENS = ("<padding>", "<unknown>")  # tokens 0 and 1; a text never contains them, as `<` is a word by itself
UNKNOWN = 1
# Words, and each punctuation mark by itself. "don't" becomes "do" and "n't", "it's" becomes "it" and "'s", as in the
# Penn Treebank and in pretrained word vectors.
REVIEW_PATTERN = r"\w+?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b|\w+|[^\w\s]"
REVIEW_REPLACEMENTS = {"<br />": " ", "\u2019": "'"}  # HTML line breaks, typographic apostrophes
# a letter with its accents and vowel signs, or an emoji of several characters; not blanks and control characters
CHARACTER_PATTERN = r"(?![\s\p{Cc}\p{Cf}])\X"
# as for reviews, but joiners (U+200C and U+200D) and the quotation marks of Hebrew acronyms are parts of words
WORD_PATTERN = (
    r"\w[\w\u200c\u200d]*?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b|"
    r"(?:\p{Hebrew}+[\"'\u05f3\u05f4])+\p{Hebrew}+|\w[\w\u200c\u200d]*|" + CHARACTER_PATTERN
)
# typographic apostrophes, soft hyphens, zero-width spaces and byte order marks
REPLACEMENTS = {"\u2019": "'", "\u00ad": "", "\u200b": " ", "\ufeff": ""}
SUBWORD_PREFIX = "##"  # of a subword that is not the start of a word
ENCODE_BATCH_SIZE = 1000  # the library's result takes about 100 times the memory of the tokens
# Han, Hiragana and Katakana, Thai, Lao, Burmese, Khmer: no spaces between words
SPACELESS_PATTERN = re.compile(
    "[\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0ec0-\u0ec6\u1000-\u102a\u1780-\u17b3"
    "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003134f]"
)
LETTER_PATTERN = re.compile(r"[^\W\d_]")
SAMPLE_TEXTS = 10_000  # texts whose letters are counted


@dataclass(frozen=True)
class TokenRules:
    """Rules that split texts into tokens.

    Args:
        pattern: Pattern of a word. The rest of a text is ignored.
        replacements: Strings to replace first.
        is_composed: Whether letters and separate accents are composed first (Unicode form NFC).
        has_subwords: Whether words are split into the frequent parts of words.
    """

    pattern: str
    replacements: Mapping[str, str]
    is_composed: bool = True
    has_subwords: bool = False

    def describe(self) -> str:
        """Return everything besides texts, kind of tokens and vocabulary size that determines the tokens."""
        return f"tokenizers {version('tokenizers')}, {self.pattern}, {self.replacements}, {SPECIAL_TOKENS}"


RULES: dict[TokenKind, TokenRules] = {
    "reviews": TokenRules(REVIEW_PATTERN, REVIEW_REPLACEMENTS, is_composed=False),  # of the published results
    "words": TokenRules(WORD_PATTERN, REPLACEMENTS),
    "characters": TokenRules(CHARACTER_PATTERN, REPLACEMENTS),
    "subwords": TokenRules(WORD_PATTERN, REPLACEMENTS, has_subwords=True),
}


class Vocabulary(NamedTuple):
    """Tokens by index, and for subwords the pairs of tokens to merge, each joined by a blank, in order."""

    tokens: list[str]
    merges: list[str]

    def to_text(self) -> str:
        """Return the tokens and, after an empty line, the merges, one per line."""
        return "\n".join([*self.tokens, *(["", *self.merges] if self.merges else [])])  # tokens have no line breaks

    @classmethod
    def from_text(cls, text: str) -> "Vocabulary":
        """Return the vocabulary of a text by `to_text`."""
        tokens, _, merges = text.partition("\n\n")
        return cls(tokens.split("\n"), merges.split("\n") if merges else [])


class EncodedTexts(NamedTuple):
    """Concatenated tokens of texts (all tokens,), and the lengths of the texts (texts,)."""

    tokens: NDArray[np.integer]
    lengths: NDArray[np.int64]

    def pad(self, max_length: int, keep: Keep) -> Tensor:
        """Return the texts as rows (texts, max_length), padded with `PADDING_INDEX`.

        Args:
            max_length: Maximum number of tokens per text.
            keep: Whether the start or the end of a longer text is used.
        """
        rows = np.full((len(self.lengths), max_length), PADDING_INDEX, self.tokens.dtype)
        ends = self.lengths.cumsum()
        for row, end, length in zip(rows, ends.tolist(), self.lengths.tolist(), strict=True):
            count = min(length, max_length)
            start = end - (count if keep == "end" else length)
            row[:count] = self.tokens[start : start + count]
        return torch.from_numpy(rows)


def build_vocabulary(texts: Iterable[str], size: int, kind: TokenKind) -> Vocabulary:
    """Return a vocabulary: the special tokens, then words or characters by decreasing frequency and alphabetically.

    Subwords are characters, then merged pairs of subwords by decreasing frequency (byte-pair encoding).

    Args:
        texts: Texts whose tokens are counted.
        size: Maximum number of tokens, including the special ones.
        kind: Kind of the tokens.

    Source:
        Sennrich, Haddow, Birch 2016, Neural Machine Translation of Rare Words with Subword Units.
    """
    tokenizer = build_tokenizer(Vocabulary([*SPECIAL_TOKENS], []), kind)
    tokenizer.train_from_iterator(texts, _make_trainer(size, kind))
    indices = tokenizer.get_vocab(with_added_tokens=False)
    tokens = sorted(indices, key=indices.__getitem__)
    merges = json.loads(tokenizer.to_str())["model"]["merges"] if RULES[kind].has_subwords else []
    return Vocabulary(tokens, [" ".join(pair) for pair in merges])


def _make_trainer(size: int, kind: TokenKind) -> Any:
    from tokenizers.trainers import BpeTrainer, WordLevelTrainer

    options: dict[str, Any] = {"vocab_size": size, "special_tokens": list(SPECIAL_TOKENS), "show_progress": False}
    if not RULES[kind].has_subwords:
        return WordLevelTrainer(**options)
    # each character may have two tokens, at the start of a word or not
    return BpeTrainer(**options, limit_alphabet=max(1, size // 4), continuing_subword_prefix=SUBWORD_PREFIX)


def encode(texts: Sequence[str], tokenizer: "Tokenizer") -> EncodedTexts:
    """Encode texts as tokens; unknown words, and texts without words, become `UNKNOWN`.

    Args:
        texts: The texts.
        tokenizer: The tokenizer of a vocabulary, from `build_tokenizer`.
    """
    dtype = np.int16 if tokenizer.get_vocab_size() <= np.iinfo(np.int16).max else np.int32
    parts = [np.zeros(0, dtype)]
    lengths = []
    for start in range(0, len(texts), ENCODE_BATCH_SIZE):
        encodings = tokenizer.encode_batch_fast(texts[start : start + ENCODE_BATCH_SIZE])
        rows = [encoding.ids or [UNKNOWN] for encoding in encodings]
        parts += [np.array(row, dtype) for row in rows]
        lengths += [len(row) for row in rows]
    return EncodedTexts(np.concatenate(parts), np.array(lengths, np.int64))


def build_tokenizer(vocabulary: Vocabulary, kind: TokenKind) -> "Tokenizer":
    """Return a tokenizer that splits texts in lower case by the rules of a kind of tokens."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    rules = RULES[kind]
    indices = {token: index for index, token in enumerate(vocabulary.tokens)}
    unknown = SPECIAL_TOKENS[UNKNOWN]
    if rules.has_subwords:
        merges = [(first, second) for first, _, second in (pair.partition(" ") for pair in vocabulary.merges)]
        model = models.BPE(indices, merges, unk_token=unknown, continuing_subword_prefix=SUBWORD_PREFIX, fuse_unk=True)
        tokenizer = Tokenizer(model)
    else:
        tokenizer = Tokenizer(models.WordLevel(indices, unk_token=unknown))
    composition = [normalizers.NFC()] if rules.is_composed else []
    replacements = [normalizers.Replace(old, new) for old, new in rules.replacements.items()]
    tokenizer.normalizer = normalizers.Sequence([*composition, *replacements, normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(rules.pattern), "removed", invert=True)
    return tokenizer


def choose_tokens(texts: Iterable[str]) -> TokenKind:
    """Return `"characters"` if most letters are of languages without spaces between words, else `"words"`."""
    sample = [*islice(texts, SAMPLE_TEXTS)]
    letters = sum(len(LETTER_PATTERN.findall(text)) for text in sample)
    spaceless = sum(len(SPACELESS_PATTERN.findall(text)) for text in sample)
    return "characters" if 2 * spaceless > letters else "words"


def normalize_text(text: str) -> str:
    """Return a key that is equal for texts that differ only in case, blanks and line breaks."""
    for old, new in REVIEW_REPLACEMENTS.items():
        text = text.replace(old, new)
    return "".join(text.lower().split())


def is_empty(text: str) -> bool:
    """Return whether a text contains only blanks, line breaks and invisible characters."""
    return not text.replace("<br />", " ").translate(INVISIBLE_CHARACTERS).strip()
