"""IMDB data set of 50,000 film reviews, negative or positive."""

import re
from collections.abc import Sequence

from trainer.core.spec import PositiveInt
from trainer.data.io.archive import fetch_directory
from trainer.data.io.download import DataFile
from trainer.data.io.texts.labeled_texts import LabeledTexts, drop_duplicates
from trainer.data.io.texts.review_files import contiguous_split, read_tree
from trainer.data.io.texts.tokenization import Keep
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.split import Split, Stage
from trainer.data.synthetic import make_texts
from trainer.data.text_base import TextData

FOLDER = "aclImdb"
ARCHIVE = DataFile("aclImdb_v1.tar.gz", "7c2ac02c03563afcf9b574c7e56c153a")
# without the archive's 50,000 unlabeled reviews
REVIEW_FILE_PATTERN = re.compile(rf"{FOLDER}/(train|test)/(neg|pos)/[^/]+\.txt")
REVIEWS_PER_DIRECTORY = 12_500


class IMDB(TextData):
    """Reviews as token indices; the vocabulary is the most frequent words of the training reviews.

    The test reviews are used as published. Training reviews whose text is also in the test, or repeats another training
    review, are dropped. Validation is a contiguous range of each class, so that few films are in both training and
    validation. No text is in two splits.

    Args:
        dir: Root of the data sets. Its directory `aclImdb` must be complete, and is downloaded if it is missing.
        mirrors: URLs of directories with the archive of `aclImdb`, tried in turn.
        download: Whether the archive may be downloaded.
        vocabulary_size: Number of distinct tokens, including padding and the unknown token.
        max_length: Maximum number of words per review.
        keep: Whether the words at the `"start"` or at the `"end"` of a longer review are used.
        val_size: Number of training reviews used for validation.
        synthetic: Whether synthetic reviews replace the real ones; no file is read then.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        Maas, Daly, Pham, Huang, Ng, Potts 2011, Learning Word Vectors for Sentiment Analysis.
    """

    name = "imdb"
    class_names = ("negative", "positive")

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        mirrors: Sequence[str] = (),
        download: bool = True,
        vocabulary_size: int = 20_000,
        max_length: int = 400,
        keep: Keep = "start",
        synthetic: bool = False,
        val_size: PositiveInt = 2500,
        data_seed: int = 0,
        sampling: Sampling = None,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(
            dir=dir,
            tokens="reviews",
            vocabulary_size=vocabulary_size,
            max_length=max_length,
            keep=keep,
            synthetic=synthetic,
            sampling=sampling,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            seed=seed,
        )
        self.mirrors = tuple(mirrors)
        self.download = download
        self.val_size = val_size
        self.data_seed = data_seed

    def load(self) -> dict[Stage, Split]:
        """Read and split the reviews, build the vocabulary of the training reviews, and encode all reviews."""
        return self._encode_splits(self._read_splits(), self.name)

    def _read_splits(self) -> dict[Stage, LabeledTexts]:
        if self.synthetic:
            texts = make_texts(len(self.class_names), self.val_size)
            return {stage: LabeledTexts(*columns) for stage, columns in texts.items()}
        fetch_directory(FOLDER, REVIEW_FILE_PATTERN, ARCHIVE, self.root, self.mirrors, self.download)
        directory = self.root / FOLDER
        all_train, test = (read_tree(directory / stage, REVIEWS_PER_DIRECTORY) for stage in ("train", "test"))
        reviews = drop_duplicates(all_train, test.texts, "reviews")
        val, train = contiguous_split(reviews, self.val_size, self.data_seed)
        return {"train": train, "val": val, "test": test}
