"""IMDB data set of 50,000 film reviews, negative or positive; also reads labeled texts from any CSV file."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import PADDING_INDEX, DataSpec, PositiveInt
from trainer.data.base import TensorData, count_outputs
from trainer.data.io.archive import fetch_directory
from trainer.data.io.cache import Arrays, hash_strings, load_or_compute
from trainer.data.io.class_labels import validate_class_names
from trainer.data.io.data_path import fetch_path, find_path
from trainer.data.io.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.download import DataFile
from trainer.data.io.review_files import Reviews, contiguous_split, drop_duplicates, parse_reviews, read_tree
from trainer.data.io.table_file import read_table
from trainer.data.io.tokenization import TOKENIZER_RULES, EncodedTexts, Keep, build_vocabulary, encode
from trainer.data.loading.split import Split, Stage, random_split
from trainer.data.preprocessing.text import TextPreprocessing
from trainer.data.synthetic import make_texts

log = logging.getLogger(__name__)

FOLDER = "aclImdb"
ARCHIVE = DataFile("aclImdb_v1.tar.gz", "7c2ac02c03563afcf9b574c7e56c153a")
# without the archive's 50,000 unlabeled reviews
REVIEW_FILE_PATTERN = re.compile(rf"{FOLDER}/(train|test)/(neg|pos)/[^/]+\.txt")
REVIEWS_PER_DIRECTORY = 12_500


class IMDB(TensorData):
    """Reviews as token indices; the vocabulary is the most frequent words of the training reviews.

    Directories: the test reviews are used as published. Training reviews whose text is also in the test, or repeats
    another training review, are dropped. Validation is a contiguous range of each class, so that few films are in both
    training and validation. A CSV file is split at random after dropping duplicates. No text is in two splits.

    Tokens are cached in `.cache` in `dir`, in a file named after the hash of texts and settings; the directory may be
    deleted at any time.

    Args:
        dir: Root of the data sets.
        path: Directory with `train/neg/*.txt`, `train/pos`, `test/neg`, `test/pos`, or a CSV file (.gz allowed);
            relative to `dir`, or absolute. `aclImdb` must be complete, and is downloaded if it is missing.
        mirrors: URLs of directories with the archive of `aclImdb`, tried in turn.
        download: Whether the archive may be downloaded.
        text_column, label_column: Names or indices of the columns of a CSV file.
        class_names: Labels of the classes in a CSV file, in any case; other labels are an error. If no name is a
            number, the column may contain the indices 0, 1, ... instead. Directories have two classes.
        header: Whether the first line of a CSV file contains the column names.
        delimiter: Delimiter of a CSV file, one character.
        vocabulary_size: Number of distinct tokens, including padding and the unknown token.
        max_length: Maximum number of words per review.
        keep: Whether the words at the `"start"` or at the `"end"` of a longer review are used.
        val_size: Number of training reviews used for validation.
        synthetic: Whether synthetic reviews replace the real ones; no file is read then.
        test_size: Number of reviews of a CSV file used for test; directories have their own.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        Maas, Daly, Pham, Huang, Ng, Potts 2011, Learning Word Vectors for Sentiment Analysis.
    """

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        path: str = FOLDER,
        mirrors: Sequence[str] = (),
        download: bool = True,
        text_column: str | int = 0,
        label_column: str | int = 1,
        class_names: Sequence[str | int] = ("negative", "positive"),
        header: bool = True,
        delimiter: str = ",",
        vocabulary_size: int = 20_000,
        max_length: int = 400,
        keep: Keep = "start",
        synthetic: bool = False,
        val_size: PositiveInt = 2500,
        test_size: PositiveInt = 5000,
        data_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if vocabulary_size < 3:
            raise UserError("data.vocabulary_size: must be at least 3: padding, the unknown word, and one word")
        if max_length < 1:
            raise UserError("data.max_length: must be at least 1 word")
        if len(class_names) < 2:
            raise UserError("data.class_names: expected at least 2")
        self.root = Path(dir)
        self.path = path
        self.mirrors = tuple(mirrors)
        self.download = download
        self.text_column = text_column
        self.label_column = label_column
        self.header = header
        self.delimiter = delimiter
        self.class_names = tuple(str(name).strip() for name in class_names)
        validate_class_names(self.class_names)
        self.vocabulary_size = vocabulary_size
        self.max_length = max_length
        self.keep = keep
        self.val_size = val_size
        self.test_size = test_size
        self.data_seed = data_seed
        self.synthetic = synthetic
        self.vocabulary: list[str] = []  # words by token index, set by `load`
        self.preprocessing: TextPreprocessing = TextPreprocessing("", max_length, keep, text_column, header, delimiter)

    @property
    def spec(self) -> DataSpec:
        """Tokens, and the classes in `class_names`."""
        return DataSpec(
            "imdb",
            "tokens",
            (self.max_length,),
            "classification",
            count_outputs(self.class_names),
            self.class_names,
            vocabulary_size=self.vocabulary_size,
            synthetic=self.synthetic,
        )

    def load(self) -> dict[Stage, Split]:
        """Read and split the reviews, build the vocabulary of the training reviews, and encode all reviews."""
        reviews_by_stage = self._read_splits()
        sizes = [len(reviews.texts) for reviews in reviews_by_stage.values()]
        all_texts = [text for reviews in reviews_by_stage.values() for text in reviews.texts]
        compute = partial(self._encode, reviews_by_stage["train"].texts, all_texts)
        name = hash_strings([TOKENIZER_RULES, str(self.vocabulary_size), *map(str, sizes), *all_texts])
        arrays = compute() if self.synthetic else load_or_compute(self.root / ".cache" / f"imdb-{name}.npz", compute)
        vocabulary = arrays["vocabulary"].tobytes().decode()
        self.vocabulary = vocabulary.split("\n")
        self.preprocessing = replace(self.preprocessing, vocabulary=vocabulary)
        tokens = EncodedTexts(arrays["tokens"], arrays["lengths"]).pad(self.max_length, self.keep)
        return {
            stage: Split(inputs, torch.tensor(reviews.classes))
            for (stage, reviews), inputs in zip(reviews_by_stage.items(), torch.split(tokens, sizes), strict=True)
        }

    def lengths(self, inputs: Tensor) -> Tensor:
        return (inputs != PADDING_INDEX).sum(1)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Encode texts as network inputs (texts, time); requires `setup`."""
        return self.prepare(self.preprocessing.encode_texts(texts))

    def _read_splits(self) -> dict[Stage, Reviews]:
        if self.synthetic:
            texts = make_texts(len(self.class_names), self.val_size)
            return {stage: Reviews(*columns) for stage, columns in texts.items()}
        directory = find_path(self.path, self.root)
        if self.path == FOLDER:
            fetch_directory(FOLDER, REVIEW_FILE_PATTERN, ARCHIVE, self.root, self.mirrors, self.download)
        if directory.is_dir():
            if len(self.class_names) != 2:
                raise UserError(f"data.class_names: {directory} has two classes, negative and positive reviews")
            count = REVIEWS_PER_DIRECTORY if self.path == FOLDER else None
            all_train, test = (read_tree(directory / stage, count) for stage in ("train", "test"))
            reviews = drop_duplicates(all_train, elsewhere=test.texts)
            val, train = contiguous_split(reviews, self.val_size, self.data_seed)
            return {"train": train, "val": val, "test": test}
        path = fetch_path(self.path, self.root, md5="")
        settings = DialectSettings(delimiter=self.delimiter, header=self.header)
        file = read_table(path, detect_dialect(path, settings))
        text = file.name_or_index(file.index("data.text_column", self.text_column))
        self.preprocessing = replace(self.preprocessing, text_column=text)
        reviews = drop_duplicates(parse_reviews(file, self.text_column, self.label_column, self.class_names))
        rows = torch.arange(len(reviews.texts))
        parts = random_split(Split(rows, rows), self.val_size, self.test_size, seed=self.data_seed)
        val, test, train = (reviews.select(part.inputs.tolist()) for part in parts)
        return {"train": train, "val": val, "test": test}

    def _encode(self, train: list[str], texts: list[str]) -> Arrays:
        log.info("encoding %d reviews", len(texts))
        vocabulary = build_vocabulary(train, self.vocabulary_size)
        tokens, lengths = encode(texts, vocabulary)
        vocabulary_bytes = np.frombuffer("\n".join(vocabulary).encode(), np.uint8)  # words contain no line breaks
        return {"vocabulary": vocabulary_bytes, "tokens": tokens, "lengths": lengths}
