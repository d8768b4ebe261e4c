"""Base class of data sets of texts, whose inputs are token indices."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import PADDING_INDEX, DataSpec
from trainer.data.base import TensorData, make_classification_spec
from trainer.data.io.cache import Arrays, hash_strings, load_or_compute
from trainer.data.io.texts.labeled_texts import LabeledTexts
from trainer.data.io.texts.tokenization import (
    RULES,
    EncodedTexts,
    Keep,
    TokenKind,
    Vocabulary,
    build_tokenizer,
    build_vocabulary,
    encode,
)
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.split import Split, Stage
from trainer.data.preprocessing.text import TextPreprocessing

log = logging.getLogger(__name__)


class TextData(TensorData):
    """Texts as token indices; the vocabulary is the most frequent tokens of the training texts.

    Tokens are cached in `.cache` in `dir`, in a file named after the hash of texts and settings; the directory may be
    deleted at any time.

    Args:
        dir: Root of the data sets.
        tokens: Kind of the tokens.
        vocabulary_size: Number of distinct tokens, including padding and the unknown token.
        max_length: Maximum number of tokens per text.
        keep: Whether the `"start"` or the `"end"` of a longer text is used.
        synthetic: Whether synthetic texts replace the real ones; no file is read then.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.
    """

    name: str
    class_names: tuple[str, ...]

    def __init__(
        self,
        *,
        dir: str,  # noqa: A002  the config key is data.dir
        tokens: TokenKind,
        vocabulary_size: int,
        max_length: int,
        keep: Keep,
        synthetic: bool,
        sampling: Sampling,
        batch_size: int,
        eval_batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(sampling=sampling, batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if vocabulary_size < 3:
            raise UserError("data.vocabulary_size: must be at least 3: padding, the unknown token, and one token")
        if max_length < 1:
            raise UserError("data.max_length: must be at least 1 token")
        self.root = Path(dir)
        self.vocabulary_size = vocabulary_size
        self.max_length = max_length
        self.keep = keep
        self.synthetic = synthetic
        self.vocabulary: list[str] = []  # tokens by index, set by `load`
        self.preprocessing: TextPreprocessing = TextPreprocessing("", max_length, keep, tokens)
        self._trained_vocabulary = ""  # of the checkpoint that this run resumes or tests

    @property
    def spec(self) -> DataSpec:
        """Tokens and the classes in `class_names`."""
        options = {"vocabulary_size": self.vocabulary_size, "synthetic": self.synthetic}
        return make_classification_spec(self.name, "tokens", (self.max_length,), self.class_names, **options)

    def lengths(self, inputs: Tensor) -> Tensor:
        return (inputs != PADDING_INDEX).sum(1)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode texts as network inputs (texts, time); requires `setup`."""
        return self.prepare(self.preprocessing.encode_texts(texts))

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"vocabulary": self.preprocessing.vocabulary}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the vocabulary that the network was trained with, and read other texts again with it."""
        super().load_state_dict(state_dict)
        vocabulary = state_dict["vocabulary"]
        if vocabulary != self.preprocessing.vocabulary:
            log.info("texts are read again with the vocabulary of the checkpoint")
            self._trained_vocabulary = vocabulary
            self.splits = self.load()

    def _encode_splits(self, texts_by_stage: Mapping[Stage, LabeledTexts], cache_name: str) -> dict[Stage, Split]:
        """Build the vocabulary of the training texts and encode all texts.

        Args:
            texts_by_stage: Texts of each split.
            cache_name: Name of the data set in the name of the cache file.
        """
        sizes = [len(texts.texts) for texts in texts_by_stage.values()]
        all_texts = [text for texts in texts_by_stage.values() for text in texts.texts]
        rules = RULES[self.preprocessing.tokens].describe()
        compute = partial(self._encode, texts_by_stage["train"].texts, all_texts)
        parts = [rules, str(self.vocabulary_size), *map(str, sizes), *all_texts]
        if self._trained_vocabulary:
            parts.append(self._trained_vocabulary)
        file = self.root / ".cache" / f"{cache_name}-{hash_strings(parts)}.npz"
        arrays = compute() if self.synthetic else load_or_compute(file, compute)
        vocabulary = arrays["vocabulary"].tobytes().decode()
        self.vocabulary = Vocabulary.from_text(vocabulary).tokens
        self.preprocessing = replace(self.preprocessing, vocabulary=vocabulary, rules=rules)
        tokens = EncodedTexts(arrays["tokens"], arrays["lengths"]).pad(self.max_length, self.keep)
        return {
            stage: Split(inputs, torch.tensor(texts.classes))
            for (stage, texts), inputs in zip(texts_by_stage.items(), torch.split(tokens, sizes), strict=True)
        }

    def _encode(self, train: list[str], texts: list[str]) -> Arrays:
        log.info("encoding %d texts", len(texts))
        kind = self.preprocessing.tokens
        text = self._trained_vocabulary or build_vocabulary(train, self.vocabulary_size, kind).to_text()
        tokens, lengths = encode(texts, build_tokenizer(Vocabulary.from_text(text), kind))
        return {"vocabulary": np.frombuffer(text.encode(), np.uint8), "tokens": tokens, "lengths": lengths}
