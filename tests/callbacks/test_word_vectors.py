"""Word vectors that are read from a file and copied into an embedding."""

import gzip
import logging
import re
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import SGD

from trainer.callbacks.word_vectors import WordVectors, fill_embedding, read_vectors
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.line import Line
from trainer.data.loading.split import Split
from trainer.model.layers.ngram_embedding import NgramEmbedding
from trainer.model.linear import Linear
from trainer.model.lstm import LSTM
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

VOCABULARY = ["<padding>", "<unknown>", "good", "bad", "café", "rare"]
GLOVE = ["the 9 9 9", "good 0.5 -1 2", "café 1e-1 0.25 -.5", "bad -0.5 1 -2", "good 7 7 7"]


class Texts(TensorData):
    """Four texts of two words."""

    vocabulary = VOCABULARY
    spec = DataSpec("texts", "tokens", (2,), "classification", 1, class_names=("no", "yes"), vocabulary_size=6)

    def load(self):
        split = Split(torch.tensor([[2, 3], [4, 5], [2, 1], [3, 0]]), torch.tensor([0, 1, 1, 0]))
        return dict.fromkeys(("train", "val", "test"), split)


class Mean(nn.Module):
    """Network that computes a logit from the mean of the word vectors."""

    def __init__(self, size=3, rows=6):
        super().__init__()
        self.embedding = nn.Embedding(rows, size, padding_idx=0)
        self.head = nn.Linear(size, 1)

    def forward(self, inputs):
        return self.head(self.embedding(inputs).mean(1))


@pytest.fixture
def glove(tmp_path):
    """Return a file with vectors of three of the six words."""
    return write_lines(tmp_path, GLOVE)


def write_lines(directory, lines):
    (directory / "vectors.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory / "vectors.txt"


def start(path, net=None, data=None, *, steps=0, test=False, **settings):
    """Return the network at the start of the training, or after some steps."""
    data = data or Texts(batch_size=4)
    task = Supervised(net or Mean(), make_objective(data.spec), partial(SGD, lr=0.5), constant)
    callback = WordVectors(path=str(path), **settings)
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "logger"), False)
    trainer = pl.Trainer(
        max_epochs=steps, accelerator="cpu", callbacks=[callback], log_every_n_steps=1, num_sanity_val_steps=0, **quiet
    )
    if test:
        trainer.test(task, data, verbose=False)
    else:
        trainer.fit(task, data)
    return task.net


def get_error(*arguments, **settings):
    with pytest.raises(UserError) as error:
        start(*arguments, **settings)
    return str(error.value)


def test_the_words_of_the_data_get_their_vectors(glove):
    weight = start(glove).embedding.weight
    assert weight[2].tolist() == [0.5, -1, 2]  # the first of two
    assert weight[3].tolist() == [-0.5, 1, -2]
    assert weight[4].tolist() == pytest.approx([0.1, 0.25, -0.5])
    assert weight[0].tolist() == [0, 0, 0]


def test_the_number_of_words_in_the_file_is_logged(glove, caplog):
    caplog.set_level(logging.INFO)
    start(glove)
    assert f"word vectors: {glove} has 3 of 6 words" in caplog.text


def test_other_words_stay_random_with_the_same_deviation():
    torch.manual_seed(0)
    embedding = nn.Embedding(2000, 3, padding_idx=0)
    initial = embedding.weight.detach().clone()
    fill_embedding(embedding, {7: torch.tensor([0.1, 0.2, 0.3]), 9: torch.tensor([-0.3, -0.2, -0.1])})
    after = embedding.weight.detach()
    others = [row for row in range(1, 2000) if row not in (7, 9)]
    std = 0.21602469  # of 0.1, 0.2, 0.3 and their negatives: the root of 0.28 / 6
    assert after[others].std().item() == pytest.approx(std, rel=1e-4)
    assert torch.allclose(after[others] / initial[others], after[1, 0] / initial[1, 0])
    assert after[0].tolist() == [0, 0, 0]


def test_vectors_of_ngrams_stay_0_and_do_not_change_the_scale():
    vectors = {7: torch.tensor([0.1, 0.2, 0.3]), 9: torch.tensor([-0.3, -0.2, -0.1])}
    weights = []
    for ngrams in (1, 2):
        torch.manual_seed(0)
        embedding = NgramEmbedding(20, 3, ngrams, buckets=500)
        embedding.weight.data[1:20] = torch.randn(19, 3, generator=torch.Generator().manual_seed(1))
        fill_embedding(embedding, vectors)
        weights.append(embedding.weight.detach())
    words, both = weights
    assert torch.equal(both[:20], words)
    assert not both[20:].any()


@pytest.mark.parametrize("freeze", [True, False])
def test_only_a_frozen_embedding_does_not_change(glove, freeze):
    net = start(glove, steps=3, freeze=freeze)
    assert (net.embedding.weight[2].tolist() == [0.5, -1, 2]) == freeze
    assert net.embedding.weight.requires_grad != freeze


def test_vectors_of_ngrams_are_not_frozen(glove):
    net = LSTM(Texts.spec, embedding=3, ngrams=2, buckets=10)
    message = get_error(glove, net, freeze=True)
    assert message == (
        "callbacks.word_vectors.freeze: with model.net.ngrams=2 the vectors of n-grams would stay 0; "
        "expected false, or model.net.ngrams=1"
    )
    assert start(glove, LSTM(Texts.spec, embedding=3, ngrams=2, buckets=10), steps=3).embedding.weight[6:].any()


def test_a_test_reads_no_vectors():
    start("no/such/file", test=True)


def test_compressed_files_and_the_header_of_word2vec_are_supported(tmp_path):
    (tmp_path / "vectors.gz").write_bytes(gzip.compress("\n".join(["5 3", *GLOVE, ""]).encode()))
    assert read_vectors(tmp_path / "vectors.gz", VOCABULARY, 3).keys() == {2, 3, 4}


def test_words_with_spaces_or_special_characters_are_supported(tmp_path):
    strange = ["\x85 1 2 3", "\u00a0 1 2 3", "\u2028 1 2 3", ". . . 1 2 3", "at name@domain 1 2 3", "", *GLOVE]
    assert read_vectors(write_lines(tmp_path, strange), VOCABULARY, 3).keys() == {2, 3, 4}
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xe9 1 2 3\ngood 1 2 3\r\n")
    assert read_vectors(path, VOCABULARY, 3)[2].tolist() == [1, 2, 3]


def test_padding_never_gets_a_vector(tmp_path):
    assert read_vectors(write_lines(tmp_path, ["<padding> 1 2 3", "good 1 2 3"]), VOCABULARY, 3).keys() == {2}


@pytest.mark.parametrize("lines", [GLOVE, ["5 3", *GLOVE]])
def test_the_error_for_another_embedding_size_names_the_setting(tmp_path, lines):
    path = write_lines(tmp_path, lines)
    assert get_error(path, Mean(size=4)) == (
        f"{path}: its vectors have 3 numbers, but the network's embedding has 4; set model.net.embedding=3"
    )


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ([*GLOVE, "rare 1 2"], 6),  # one too few
        ([*GLOVE, "unheard 1 2"], 6),
        ([*GLOVE, "rare 1 two 3"], 6),
        ([*GLOVE, "rare 1 nan 3"], 6),
        (["the 9  9 9", *GLOVE], 1),  # two spaces
        (["<!DOCTYPE html>", *GLOVE], 1),
        (["a b c d", *GLOVE], 1),
        (["good\t1\t2\t3"], 1),
        (["5 3", "", "good"], 3),
    ],
)
def test_the_error_for_an_invalid_line_contains_its_number(tmp_path, lines, number):
    path = write_lines(tmp_path, lines)
    message = f"{path}, line {number}: expected a word and 3 numbers, separated by single spaces; fix or remove it"
    assert get_error(path) == message


def test_missing_and_corrupted_files_and_other_words_are_rejected(tmp_path):
    assert get_error(tmp_path / "no.txt") == f"callbacks.word_vectors.path: no file '{tmp_path}/no.txt'"
    assert get_error(tmp_path).startswith("callbacks.word_vectors.path: no file")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"good 1 2 3\n" * 99)[:-9])
    assert get_error(tmp_path / "a.gz").startswith(f"{tmp_path}/a.gz: cannot be read: ")
    path = write_lines(tmp_path, ["GOOD 1 2 3", "gut 1 2 3"])
    assert get_error(path).startswith(f"{path}: has none of the 6 words of the data; ")
    assert get_error(write_lines(tmp_path, [])).startswith(f"{path}: has none of the 6 words")


def test_data_without_words_and_networks_without_embedding_are_rejected(glove):
    line = Line()
    assert re.match(r"callbacks\.word_vectors: the data have no words", get_error(glove, Linear(line.spec), line))
    net = nn.Sequential(nn.Linear(2, 1))
    assert get_error(glove, net).startswith("callbacks.word_vectors: the network has no word embedding; ")
    message = "callbacks.word_vectors: the network's embedding has 5 rows, but the data have 6 words"
    assert get_error(glove, Mean(rows=5)) == message
