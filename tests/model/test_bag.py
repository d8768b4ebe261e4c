"""N-grams, mean of vectors and naive Bayes ratios compared with plain Python and scikit-learn."""

import json
import math
from pathlib import Path

import pytest
import torch

import trainer
from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.bag import Bag
from trainer.model.layers.ngram_embedding import HASH_FACTOR, HASH_PRIME

TEXTS = DataSpec("texts", "tokens", (12,), "classification", 1, ("bad", "good"), vocabulary_size=20)
TOPICS = DataSpec("topics", "tokens", (12,), "classification", 3, ("a", "b", "c"), vocabulary_size=20)
TINY = ["data=texts", "data.path=texts.csv", "model=bag", "trainer.log_every_n_steps=1", "logger=csv"]


def tokens(batch=30, time=9, vocabulary=20):
    """Return random texts of 1 to `time` words, with padding."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, time + 1, (batch, 1), generator=generator)
    return torch.randint(1, vocabulary, (batch, time), generator=generator) * (torch.arange(time) < lengths)


def list_ngrams(text, net):
    """Return the rows of the distinct n-grams of a text without padding."""
    words = [token for token in text.tolist() if token]
    rows = set(words)
    for size in range(2, net.ngrams + 1):
        for start in range(len(words) - size + 1):
            value = 0
            for word in words[start : start + size]:
                value = (value * HASH_FACTOR + word) % HASH_PRIME
            rows.add(20 + value % net.buckets)
    return rows


@pytest.mark.parametrize("ngrams", [1, 2, 3, 5])
def test_the_rows_are_the_words_and_the_hashes_of_their_sequences_once_each(ngrams):
    net = Bag(TEXTS, ngrams=ngrams, buckets=1000)
    for text, rows in zip(tokens(), net.find_rows(tokens()), strict=True):
        found = [row for row in rows.tolist() if row]
        assert found == sorted(list_ngrams(text, net))


def test_different_ngrams_have_different_hashes():
    with torch.device("meta"):  # without memory for the weights
        net = Bag(DataSpec("texts", "tokens", (2,), "classification", 1, vocabulary_size=101), buckets=2**31)
    pairs = torch.cartesian_prod(torch.arange(1, 101), torch.arange(1, 101))
    rows = net.find_rows(pairs)
    assert len(rows[rows > 100].unique()) == 100 * 100


def test_the_output_is_that_of_the_mean_vector():
    net = Bag(TOPICS, ngrams=2, buckets=50, embedding=6, head=[4], activation="tanh")
    first, _, last = net.head
    for text, output in zip(tokens(), net(tokens()), strict=True):
        mean = torch.stack([net.embedding.weight[row] for row in list_ngrams(text, net)]).mean(0)
        expected = last.weight @ (first.weight @ mean + first.bias).tanh() + last.bias
        assert torch.allclose(output, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("naive_bayes", [False, True])
def test_padding_and_other_texts_of_the_batch_do_not_matter(naive_bayes):
    torch.manual_seed(0)
    net = Bag(TOPICS, ngrams=3, naive_bayes=naive_bayes)
    torch.nn.init.normal_(net.embedding.weight[1:])
    for text, output in zip(tokens(), net(tokens()), strict=True):
        assert torch.allclose(output, net(text[None, : int((text > 0).sum())])[0], rtol=0, atol=1e-5)


def test_padding_gets_no_gradient():
    for net in (Bag(TEXTS), Bag(TEXTS, naive_bayes=True)):
        net(tokens()).sum().backward()
        assert not net.embedding.weight.grad[0].any()
        assert net.embedding.weight.grad.any()


@pytest.mark.parametrize("spec", [TEXTS, TOPICS])
def test_the_ratios_are_those_of_naive_bayes_for_each_class_against_the_others(spec):
    net = Bag(spec, ngrams=2, buckets=40, naive_bayes=True)
    inputs = tokens()
    targets = torch.arange(len(inputs)) % len(spec.class_names)
    net.compute_statistics([(inputs[:11], targets[:11]), (inputs[11:], targets[11:])])
    texts = [list_ngrams(text, net) for text in inputs]
    for output in range(spec.output_size):
        counts = [[1] * 60, [1] * 60]  # of all other classes and of this one, by row
        for text, target in zip(texts, targets.tolist(), strict=True):
            for row in text:
                counts[target == (1 if spec is TEXTS else output)][row] += 1
        others, own = (sum(count[1:]) for count in counts)  # row 0 is padding
        expected = [math.log(counts[1][row] / own) - math.log(counts[0][row] / others) for row in range(1, 60)]
        assert net.ratios[1:, output].tolist() == pytest.approx(expected, abs=1e-5)
    assert not net.ratios[0].any()


def test_the_ratio_of_a_word_that_only_one_class_has():
    net = Bag(TEXTS, ngrams=1, naive_bayes=True)
    net.compute_statistics([(torch.tensor([[5, 5, 5], [5, 6, 0], [7, 0, 0]]), torch.tensor([1, 1, 0]))])
    # word 5 is in both texts of class 1; each class has one more text with each of the 19 words
    assert net.ratios[5].item() == pytest.approx(math.log((3 / 22) / (1 / 20)))


def test_the_output_is_the_sum_of_the_weighted_ratios():
    torch.manual_seed(0)
    net = Bag(TOPICS, ngrams=2, buckets=50, naive_bayes=True)
    torch.nn.init.normal_(net.embedding.weight[1:])
    net.ratios.normal_()
    net.bias.data.normal_()
    for text, output in zip(tokens(), net(tokens()), strict=True):
        rows = [*list_ngrams(text, net)]
        expected = (net.embedding.weight[rows] * net.ratios[rows]).sum(0) + net.bias
        assert torch.allclose(output, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("naive_bayes", [False, True])
def test_dropped_ngrams_keep_the_mean_and_are_only_dropped_in_training(naive_bayes):
    torch.manual_seed(0)
    net = Bag(TEXTS, ngrams=2, naive_bayes=naive_bayes, word_dropout=0.4)
    torch.nn.init.normal_(net.embedding.weight[1:])
    inputs = tokens(1)
    many = net(inputs.expand(20_000, -1))
    assert many.std() > 0.01
    net.eval()
    assert torch.equal(net(inputs), net(inputs))
    assert many.mean().item() == pytest.approx(net(inputs).item(), abs=0.05)


@pytest.mark.parametrize("settings", [{"ngrams": 0}, {"buckets": 0}, {"embedding": 0}])
def test_sizes_below_1_are_rejected(settings):
    with pytest.raises(UserError, match=r"^model\.net\.ngrams, .*buckets and .*embedding: must be at least 1$"):
        Bag(TEXTS, **settings)


def test_other_data_are_rejected():
    with pytest.raises(MismatchError, match=r"^model 'bag' needs tokens \(time,\); data 'rows' has vectors \(3,\)"):
        Bag(DataSpec("rows", "vector", (3,), "classification", 3))
    values = DataSpec("stars", "tokens", (12,), "regression", 1, vocabulary_size=20)
    with pytest.raises(UserError, match=r"^model\.net\.naive_bayes: needs classes; expected false"):
        Bag(values, naive_bayes=True)


def test_a_width_is_rejected_with_naive_bayes():
    with pytest.raises(UserError, match=r"^model\.net\.embedding: has no effect with naive_bayes=true; expected null$"):
        Bag(TEXTS, naive_bayes=True, embedding=8)


@pytest.mark.parametrize("settings", [{"head": [8]}, {"dropout": 0.5}])
def test_dense_layers_are_rejected_with_naive_bayes(settings):
    with pytest.raises(UserError, match=r"^model\.net\.head and model\.net\.dropout: have no effect with naive_bayes"):
        Bag(TEXTS, naive_bayes=True, **settings)


def write_texts(file="texts.csv", topics=("storm", "goal", "vote")):
    """Write texts whose class only depends on the order of two words, and on one word."""
    generator = torch.Generator().manual_seed(0)
    lines = ["text,label"]
    for number in range(240):
        filler = [f"w{i}" for i in torch.randint(60, (3,), generator=generator).tolist()]
        topic = topics[number % len(topics)]
        lines.append(f"{' '.join([*filler, topic, filler[0], *filler[::-1]])},{topic}")
    Path(file).write_text("\n".join(lines) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize(("naive_bayes", "topics"), [("true", ("storm", "goal", "vote")), ("false", ("storm", "goal"))])
def test_texts_are_learned_resumed_and_predicted(naive_bayes, topics, command):
    write_texts(topics=topics)
    settings = [f"model.net.naive_bayes={naive_bayes}", "model.net.buckets=500", "model.net.word_dropout=0.2"]
    settings += ["optimizer.lr=0.05", "data.batch_size=16"]
    assert command(*TINY, *settings, "trainer.max_epochs=6", "hydra.run.dir=whole").code == 0
    assert command(*TINY, *settings, "trainer.max_epochs=3", "hydra.run.dir=part").code == 0
    assert command("resume", "part", "trainer.max_epochs=6").code == 0
    weights = [torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in ("whole", "part")]
    whole, part = weights
    assert whole.keys() == part.keys()
    assert all(torch.equal(whole[name], part[name]) for name in whole)
    metrics = json.loads(Path("whole/result.json").read_text())["metrics"]
    assert metrics["test/accuracy"] >= 0.95
    [prediction] = trainer.load("whole").predict(["w1 w2 goal w3"])
    assert prediction.label == "goal"
    assert command("test", "whole").code == 0


def test_data_without_training_batches_are_reported(command):
    write_texts()
    Path("my_texts.py").write_text(
        "from pytorch_lightning import LightningDataModule\n"
        "from trainer.data.texts import Texts\n\n\n"
        "class Own(LightningDataModule):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.data = Texts(path='texts.csv')\n"
        "        self.spec = self.data.spec\n"
        "        self.data.setup('fit')\n\n"
        "    def train_dataloader(self):\n"
        "        return self.data.train_dataloader()\n\n"
        "    val_dataloader = test_dataloader = train_dataloader\n"
    )
    outcome = command("data=custom", "data._target_=my_texts.Own", "model=bag", "model.net.naive_bayes=true")
    assert outcome.code == 1
    assert "data: Bag computes numbers of the training examples before the first step, but Own has no" in outcome.err
