"""IMDB from small trees and, if available, from the real reviews."""

import hashlib
import io
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from trainer.core.spec import DataSpec
from trainer.data import imdb, text_base
from trainer.data.imdb import IMDB
from trainer.data.io.download import DataFile

TREE = {  # eight different training reviews, and three of the test
    "train/neg": ["bad one .", "bad two .", "bad three .", "bad four ."],
    "train/pos": ["good five .", "good six .", "good seven .", "good eight ."],
    "test/neg": ["bad film , testword ."],
    "test/pos": ["good film .", "good film ."],
}


@pytest.fixture(autouse=True)
def any_number_of_reviews(monkeypatch, request):
    """Accept small trees, except in tests of the real reviews."""
    if "real_data" not in request.keywords:
        monkeypatch.setattr(imdb, "REVIEWS_PER_DIRECTORY", None)


def write_tree(root, tree=TREE):
    """Write a tree of reviews below the root."""
    for part, texts in tree.items():
        (root / imdb.FOLDER / part).mkdir(parents=True)
        for number, content in enumerate(texts):
            (root / imdb.FOLDER / part / f"{number}_7.txt").write_text(content, encoding="utf-8")
    return root


def ready(root, **settings):
    data = IMDB(**{"dir": str(root), "val_size": 2, "batch_size": 2, "download": False} | settings)
    data.setup("fit")
    return data


def decode_split(data, stage):
    """Return the text and class of each review of a split."""
    inputs, targets = data.splits[stage]
    texts = [" ".join(data.vocabulary[token] for token in row if token) for row in inputs.tolist()]
    return list(zip(texts, targets.tolist(), strict=True))


def test_the_spec_needs_no_file():
    spec = IMDB(dir="no/such", vocabulary_size=500, max_length=60).spec
    names = ("negative", "positive")
    assert spec == DataSpec("imdb", "tokens", (60,), "classification", 1, class_names=names, vocabulary_size=500)


def test_directories_are_classes_and_validation_is_taken_from_training(tmp_path):
    data = ready(write_tree(tmp_path), vocabulary_size=100)
    reviews = decode_split(data, "train") + decode_split(data, "val")
    assert [len(data.splits[stage].targets) for stage in ("train", "val", "test")] == [6, 2, 3]
    assert len({text for text, _ in reviews}) == 8
    for text, target in reviews + decode_split(data, "test"):
        assert text.startswith("good" if target else ("bad", "<unknown>"))


def test_the_test_reviews_are_not_changed(tmp_path):
    data = ready(write_tree(tmp_path))
    assert [target for _, target in decode_split(data, "test")] == [0, 1, 1]  # its own repeat included


def test_the_vocabulary_contains_training_words_only(tmp_path):
    data = ready(write_tree(tmp_path))
    train_words = {token_text for text, _ in decode_split(data, "train") for token_text in text.split()}
    assert set(data.vocabulary) == {"<padding>", "<unknown>", *train_words}
    assert "<unknown>" not in train_words
    assert sum(text.count("<unknown>") for text, _ in decode_split(data, "val")) == 2  # their numbers, which occur once
    assert decode_split(data, "test")[0][0] == "bad <unknown> <unknown> <unknown> ."


def test_no_text_is_in_two_splits(tmp_path):
    tree = TREE | {
        "train/neg": [*TREE["train/neg"], "BAD  one .", "bad film,<br />testword."],
        "train/pos": [*TREE["train/pos"], "good film .", "good five ."],
    }
    data, data_with_repeats = ready(write_tree(tmp_path / "a")), ready(write_tree(tmp_path / "b", tree))
    assert len(data_with_repeats.splits["train"].targets) == 6  # as many as without the four
    assert data_with_repeats.checksum() == data.checksum()


def test_dropped_reviews_are_logged(tmp_path, caplog):
    caplog.set_level("INFO")
    tree = TREE | {"train/pos": [*TREE["train/pos"], "good film .", "good five ."]}
    ready(write_tree(tmp_path, tree))
    assert "dropped of 10 reviews: 1 that repeat another and 1 that are also in the test" in caplog.text


def test_only_the_data_seed_changes_the_split(tmp_path):
    write_tree(tmp_path)
    first, repeated, other = (ready(tmp_path, data_seed=seed, seed=run) for seed, run in ((0, 1), (0, 2), (2, 1)))
    assert first.checksum() == repeated.checksum()
    assert {text.split()[0] for text, _ in decode_split(first, "val")}
    assert first.checksum() != other.checksum()


def test_a_batch_is_as_long_as_its_longest_text_and_padded_at_the_end(tmp_path):
    tree = TREE | {"train/neg": ["bad", "bad " * 9, "bad bad", "bad " * 8]}
    data = ready(write_tree(tmp_path, tree), max_length=7, batch_size=3)
    assert data.splits["train"].inputs.shape == (6, 7)
    assert data.splits["train"].inputs.dtype == torch.int16
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for inputs, _ in loader:
            lengths = (inputs != 0).sum(1)
            assert inputs.dtype == torch.int64
            assert inputs.shape[1] == lengths.max()
            assert all((row[:length] != 0).all() for row, length in zip(inputs, lengths, strict=True))
    short_batch, long_batch = (
        data.prepare(torch.tensor([[5, 6, 0, 0], [5, 0, 0, 0]])),
        data.prepare(torch.tensor([[5, 6, 7, 8]])),
    )
    assert short_batch.tolist() == [[5, 6], [5, 0]]
    assert long_batch.tolist() == [[5, 6, 7, 8]]


def test_texts_of_similar_length_are_read_together(tmp_path):
    tree = TREE | {part: [f"{n} " * n for n in range(1 + shift, 41, 2)] for shift, part in enumerate(list(TREE)[:2])}
    loader = ready(write_tree(tmp_path, tree), batch_size=2).train_dataloader()
    lengths = [(inputs != 0).sum(1) for inputs, _ in loader]
    assert max(int(batch.max() - batch.min()) for batch in lengths) <= 3  # two were cut away for validation


def test_long_reviews_are_cut_to_their_start_or_end(tmp_path):
    write_tree(tmp_path, TREE | {"test/neg": ["bad one two three good ."]})
    sizes = {"max_length": 2, "data_seed": 3}
    assert ready(tmp_path, **sizes).encode_texts(["bad good ."]).shape == (1, 2)
    start, end = (decode_split(ready(tmp_path, keep=keep, **sizes), "test")[0][0] for keep in ("start", "end"))
    assert start.startswith("bad ")
    assert end == "good ."


def test_other_texts_are_encoded_with_the_vocabulary(tmp_path):
    data = ready(write_tree(tmp_path))
    tokens = data.encode_texts(["Good, BAD.", "bad"])
    assert tokens.dtype == torch.int64
    rows_of_words = [[data.vocabulary[token] for token in row] for row in tokens.tolist()]
    assert rows_of_words == [["good", "<unknown>", "bad", "."], ["bad", "<padding>", "<padding>", "<padding>"]]


def test_tokens_are_cached_for_the_same_texts_and_settings(tmp_path, monkeypatch):
    write_tree(tmp_path)
    first = ready(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(text_base, "build_tokenizer", None)  # tokenizing a text would fail
        repeated = ready(tmp_path)
        assert repeated.checksum() == first.checksum()
        assert repeated.vocabulary == first.vocabulary
        assert ready(tmp_path, max_length=3, keep="end").splits["test"].inputs.shape == (3, 3)  # the same cached tokens
        (file,) = (tmp_path / ".cache").iterdir()
        for settings in ({"vocabulary_size": 9}, {"val_size": 3}, {"data_seed": 2}):
            with pytest.raises(TypeError):
                ready(tmp_path, **settings)
    (tmp_path / "aclImdb/test/pos/0_7.txt").write_text("bad film .")
    assert decode_split(ready(tmp_path), "test")[1][0].startswith("bad")
    file.write_bytes(file.read_bytes()[:-30])
    (tmp_path / "aclImdb/test/pos/0_7.txt").write_text("good film .")
    assert ready(tmp_path).checksum() == first.checksum()


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Serve a small archive like the published one, with additional files."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "server").mkdir()
    file = tmp_path / "server" / "aclImdb_v1.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        extra = {"train/unsup": ["no class"], "train": ["a list"], "../outside": ["x"]}
        for part, texts in (TREE | extra).items():
            for number, content in enumerate(texts):
                member = tarfile.TarInfo(f"aclImdb/{part}/{number}_7.txt")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content.encode()))
    monkeypatch.setattr(imdb, "ARCHIVE", DataFile(file.name, hashlib.md5(file.read_bytes()).hexdigest()))
    handler = partial(SimpleHTTPRequestHandler, directory=str(file.parent))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_missing_directory_is_downloaded_and_only_reviews_are_unpacked(tmp_path, archive):
    root = tmp_path / "data"
    data = ready(root, download=True, mirrors=[archive])
    assert data.checksum() == ready(write_tree(tmp_path)).checksum()
    assert sorted(file.name for file in root.iterdir()) == [".cache", "aclImdb", "aclImdb_v1.tar.gz"]
    assert len(list((root / "aclImdb").rglob("*.txt"))) == 11
    (root / "aclImdb_v1.tar.gz").unlink()  # what is unpacked needs neither archive nor network
    assert ready(root).checksum() == data.checksum()


@pytest.mark.slow  # half a minute to encode all reviews without a cache
@pytest.mark.real_data
def test_the_real_reviews_have_their_sizes_classes_and_words(imdb_dir):
    data = ready(imdb_dir, val_size=2500)
    # 99 training reviews repeat another, and 123 are also in the test
    assert [len(data.splits[stage].targets) for stage in ("train", "val", "test")] == [22278, 2500, 25000]
    assert torch.bincount(data.splits["test"].targets).tolist() == [12500, 12500]
    assert len(data.vocabulary) == 20_000
    assert data.vocabulary[2:7] == ["the", ".", ",", "and", "a"]
    for token_text, is_positive in (("great", True), ("excellent", True), ("awful", False), ("worst", False)):
        for inputs, targets in data.splits.values():
            count = (inputs == data.vocabulary.index(token_text)).sum(1).float()
            assert (count[targets == 1].mean() > 2 * count[targets == 0].mean()) == is_positive
