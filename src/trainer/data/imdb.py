"""IMDB: 50,000 film reviews, negative or positive; or texts with a class from any CSV file."""

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
from trainer.core.spec import PADDING, Count, DataSpec
from trainer.data.base import TensorData
from trainer.data.io.archive import find_folder
from trainer.data.io.cache import Arrays, digest, made_once
from trainer.data.io.class_labels import check_names
from trainer.data.io.csv_file import find_csv, read_csv
from trainer.data.io.download import DataFile
from trainer.data.io.review_files import Reviews, cut_run, read_rows, read_tree, without_repeats
from trainer.data.io.tokenization import RULES, Encoded, Keep, encode, most_frequent_words
from trainer.data.loading.split import Split, Stage, cut
from trainer.data.preprocessing.text import Texts
from trainer.data.synthetic import texts

log = logging.getLogger(__name__)

FOLDER = "aclImdb"
ARCHIVE = DataFile("aclImdb_v1.tar.gz", "7c2ac02c03563afcf9b574c7e56c153a")
WANTED = re.compile(rf"{FOLDER}/(train|test)/(neg|pos)/[^/]+\.txt")  # not its 50,000 reviews without a class
REVIEWS = 12_500  # in each of the four folders


class IMDB(TensorData):
    """Reviews as numbers of words, the most frequent ones of the training part.

    Of the folders, the test part stays as it is published. Training reviews whose text stands there too are left
    out, and so are those that repeat another training review; of the rest a run of neighbours in each class is for
    validation, so that few films are on both sides. A CSV file is cut at random into all three, each text once. So no
    text is in two parts.

    What the texts became is kept in `.cache` below `dir`, under a name that is a hash of the texts and of all
    settings that matter; the folder may be deleted at any time.

    Args:
        dir: Root of the data sets.
        path: Below `dir`, or in full: a folder with `train/neg/*.txt`, `train/pos`, `test/neg`, `test/pos`; or a CSV
            file, plain or .gz. `aclImdb` itself must be whole, and is fetched where it is missing.
        mirrors: URLs that the archive of `aclImdb` is fetched from, in turn.
        download: Whether it may be fetched.
        text_column, label_column: Of a CSV file, by name or number.
        class_names: Labels of the classes there, in upper or lower case; a label that is not listed is an error. If
            none of the names is a number, the column may hold the numbers 0, 1, ... instead. Folders have two classes.
        header: Whether the first line of a CSV file names the columns.
        delimiter: Between its cells, one character.
        vocabulary_size: Words that have a number, padding and the unknown word included.
        max_length: Words that are kept of a review.
        keep: Whether these are at its `"start"` or at its `"end"`.
        val_size: Training reviews kept for validation.
        synthetic: Whether made-up reviews stand in for the real ones; no file is read then.
        test_size: Reviews of a CSV file kept for the test; folders have their own.
        data_seed: Of the cut; not the run's seed, so that runs compare.
        batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        Maas, Daly, Pham, Huang, Ng, Potts 2011, Learning Word Vectors for Sentiment Analysis.
    """

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the word users type: data.dir
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
        val_size: Count = 2500,
        test_size: Count = 5000,
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
            raise UserError("data.class_names: there must be at least 2")
        self.root, self.path, self.mirrors, self.download = Path(dir), path, tuple(mirrors), download
        self.text_column, self.label_column, self.header, self.delimiter = text_column, label_column, header, delimiter
        self.class_names = tuple(str(name).strip() for name in class_names)
        check_names(self.class_names)
        self.vocabulary_size, self.max_length, self.keep = vocabulary_size, max_length, keep
        self.val_size, self.test_size, self.data_seed, self.synthetic = val_size, test_size, data_seed, synthetic
        self.vocabulary: list[str] = []  # the words by their number; `load` counts them
        self.preprocessing: Texts = Texts("", max_length, keep, text_column, header, delimiter)

    @property
    def spec(self) -> DataSpec:
        """Tokens; two classes, or as many as have a name."""
        names = self.class_names
        outputs = 1 if len(names) == 2 else len(names)
        shape, words = (self.max_length,), self.vocabulary_size
        return DataSpec(
            "imdb", "tokens", shape, "classes", outputs, names, vocabulary_size=words, synthetic=self.synthetic
        )

    def load(self) -> dict[Stage, Split]:
        """Find and read the reviews, cut them, count the words of the training part and number those of all."""
        parts = self._parts()
        sizes = [len(part.texts) for part in parts.values()]
        all_texts = [text for part in parts.values() for text in part.texts]
        number = partial(self._number, parts["train"].texts, all_texts)
        name = digest([RULES, str(self.vocabulary_size), *map(str, sizes), *all_texts])
        held = number() if self.synthetic else made_once(self.root / ".cache" / f"imdb-{name}.npz", number)
        words = held["vocabulary"].tobytes().decode()
        self.vocabulary = words.split("\n")
        self.preprocessing = replace(self.preprocessing, vocabulary=words)
        encoded = Encoded(held["tokens"], held["lengths"])
        rows = torch.split(encoded.rows(self.max_length, self.keep), sizes)
        classes = [torch.tensor(part.classes) for part in parts.values()]
        return {stage: Split(*split) for stage, *split in zip(parts, rows, classes, strict=True)}

    def lengths(self, inputs: Tensor) -> Tensor:
        return (inputs != PADDING).sum(1)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Texts of your own as a network takes them (texts, time); after `setup`."""
        return self.prepare(self.preprocessing.stored(texts))

    def _parts(self) -> dict[Stage, Reviews]:
        """Texts and classes of each part."""
        if self.synthetic:
            return {stage: Reviews(*made) for stage, made in texts(len(self.class_names), self.val_size).items()}
        folder = self.root / self.path
        if self.path == FOLDER:
            find_folder(FOLDER, WANTED, ARCHIVE, self.root, self.mirrors, self.download)
        if folder.is_dir():
            if len(self.class_names) != 2:
                raise UserError(f"data.class_names: {folder} has two classes, negative and positive reviews")
            known = REVIEWS if self.path == FOLDER else None
            all_train, test = (read_tree(folder / part, known) for part in ("train", "test"))
            rest = without_repeats(all_train, elsewhere=test.texts)
            val, train = cut_run(rest, self.val_size, self.data_seed)
            return {"train": train, "val": val, "test": test}
        file = read_csv(find_csv(self.path, self.root, md5=""), header=self.header, delimiter=self.delimiter)
        text = file.name_or_index(file.index("data.text_column", self.text_column))
        self.preprocessing = replace(self.preprocessing, text_column=text)
        reviews = without_repeats(read_rows(file, self.text_column, self.label_column, self.class_names))
        val, test, train = self._cut(reviews, self.val_size, self.test_size)
        return {"train": train, "val": val, "test": test}

    def _cut(self, reviews: Reviews, *sizes: int) -> list[Reviews]:
        rows = torch.arange(len(reviews.texts))
        return [reviews.take(part.inputs.tolist()) for part in cut(Split(rows, rows), *sizes, seed=self.data_seed)]

    def _number(self, train: list[str], texts: list[str]) -> Arrays:
        """Vocabulary, words in bytes, and the texts by it, as arrays."""
        log.info("counting and numbering the words of %d reviews, once", len(texts))
        vocabulary = most_frequent_words(train, self.vocabulary_size)
        tokens, lengths = encode(texts, vocabulary)
        words = np.frombuffer("\n".join(vocabulary).encode(), np.uint8)  # no word has a line break in it
        return {"vocabulary": words, "tokens": tokens, "lengths": lengths}
