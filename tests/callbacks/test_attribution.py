"""Importances of columns, regions and words after a test, and what a test with them must not change."""

import csv
from dataclasses import replace
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim import SGD

from trainer.callbacks.attribution import Attribution
from trainer.callbacks.fast_loop import FastLoop
from trainer.callbacks.plots import attributions
from trainer.callbacks.plots.formatting import format_captions
from trainer.callbacks.plots.style import BLACK, GREEN, RED
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split
from trainer.data.preprocessing.tabular import make_passthrough
from trainer.data.text_base import TextData
from trainer.model.bag import Bag
from trainer.model.cnn import CNN
from trainer.model.ensemble import Ensemble
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

VECTORS = DataSpec("vectors", "vector", (2,), "classification", 1, ("no", "yes"))
VALUES = DataSpec("values", "vector", (2,), "regression", 1)
IMAGES = DataSpec("images", "image", (1, 8, 8), "classification", 3, ("a", "b", "c"))
TEXTS = DataSpec("texts", "tokens", (3,), "classification", 1, ("bad", "good"), vocabulary_size=4)
SERIES = DataSpec("series", "sequence", (3, 1), "classification", 1)


class Rows(TensorData):
    """Twelve examples of two columns; the class is the sign of the second one."""

    spec = VECTORS
    preprocessing = make_passthrough(2)

    def load(self):
        inputs = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))
        split = Split(inputs, (inputs[:, 1] > 0).long())
        return {"train": split, "val": Split(-split.inputs, 1 - split.targets), "test": split}


class Values(Rows):
    """The same rows with the second column as their value."""

    spec = VALUES

    def load(self):
        return {stage: Split(split.inputs, split.inputs[:, 1:]) for stage, split in super().load().items()}


class Images(TensorData):
    """Six random images."""

    spec = IMAGES

    def load(self):
        images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
        return dict.fromkeys(("train", "val", "test"), Split(images, torch.tensor([0, 1, 2] * 2)))


class Texts(TextData):
    """Four texts of up to three words."""

    spec = TEXTS

    def __init__(self):
        settings = {"sampling": None, "batch_size": 2, "eval_batch_size": 2, "seed": 0}
        super().__init__(
            dir="", tokens="words", vocabulary_size=4, max_length=3, keep="start", synthetic=True, **settings
        )

    def load(self):
        self.preprocessing = replace(self.preprocessing, vocabulary="<padding>\n<unknown>\nfilm\nfine")
        tokens = torch.tensor([[2, 0, 0], [3, 0, 0], [2, 3, 0], [2, 3, 2]])
        return dict.fromkeys(("train", "val", "test"), Split(tokens, torch.tensor([0, 1, 1, 0])))


def make_task(net, spec, **settings):
    return Supervised(net, make_objective(spec), partial(SGD, lr=0.1), constant, **settings)


def run(directory, task, data, *callbacks, fit=False):
    """Test (and train) with callbacks; return the metrics and the tags of the images."""
    logger = TensorBoardLogger(directory, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=logger,
        callbacks=[*callbacks],
        default_root_dir=directory,
        max_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        **quiet,
    )
    if fit:
        trainer.fit(task, data)
    [metrics] = trainer.test(task, data, verbose=False)
    logger.experiment.flush()
    board = EventAccumulator(str(directory / "board"))
    board.Reload()
    return metrics, board.Tags()["images"]


def read_table(directory):
    with (directory / "attribution.csv").open() as file:
        return [*csv.reader(file)]


def make_second_column_net(spec):
    """Return a network that uses only the second column."""
    net = Linear(spec)
    [layer] = [module for module in net.modules() if isinstance(module, torch.nn.Linear)]
    layer.weight.data = torch.tensor([[0.0, 1.0]])
    layer.bias.data.zero_()
    return net


def test_columns_are_sorted_by_their_importance(tmp_path):
    net = make_second_column_net(VECTORS)
    metrics, tags = run(tmp_path, make_task(net, VECTORS), Rows(batch_size=4, eval_batch_size=5), Attribution())
    assert metrics["test/accuracy"] == 1.0
    assert tags == ["test/attribution"]
    header, first, second = read_table(tmp_path)
    assert header == ["column", "decrease of accuracy", "std"]
    assert first[0] == "column 1"
    assert 0.2 < float(first[1]) < 0.8
    assert second == ["column 0", "0.0", "0.0"]


def test_regressions_and_validation_examples_are_measured(tmp_path):
    data = Values(batch_size=4, eval_batch_size=5)
    task = make_task(make_second_column_net(VALUES), VALUES)
    _, tags = run(tmp_path, task, data, Attribution(split="val", metric="loss", max_rows=7), fit=True)
    assert tags == ["val/attribution"]
    assert read_table(tmp_path)[0] == ["column", "increase of loss", "std"]


def test_only_the_first_rows_are_used(tmp_path, monkeypatch):
    sizes = []
    original = attributions.draw_permutations
    monkeypatch.setattr(
        attributions, "draw_permutations", lambda rows, *args, **_: sizes.append(rows) or original(rows, 1, 1)
    )
    run(tmp_path, make_task(Linear(VECTORS), VECTORS), Rows(batch_size=4, eval_batch_size=5), Attribution(max_rows=7))
    assert sizes == [7]


def test_words_are_sorted_by_their_effect(tmp_path):
    _, tags = run(tmp_path, make_task(Bag(TEXTS, ngrams=1), TEXTS), Texts(), Attribution(examples=4))
    assert tags == ["test/attribution"]
    header, *rows = read_table(tmp_path)
    assert header == ["text", "prediction", "position", "word", "decrease of probability"]
    assert sorted((row[0], row[2], row[3]) for row in rows) == [
        *(("1", "1", "film"), ("2", "1", "fine"), ("3", "1", "film"), ("3", "2", "fine")),
        *(("4", "1", "film"), ("4", "2", "fine"), ("4", "3", "film")),
    ]
    effects = [abs(float(row[4])) for row in rows]
    assert effects == sorted(effects, reverse=True)


@pytest.mark.parametrize("views", ["none", "mirror_shift"])
@pytest.mark.parametrize("loop", [[], [FastLoop()]])
def test_a_test_of_images_leaves_network_random_state_and_metrics_unchanged(tmp_path, views, loop):
    def test(*callbacks):
        torch.manual_seed(1)
        task = make_task(CNN(IMAGES, channels=[4], batch_norm=True, dropout=0.5), IMAGES, test_time_augmentation=views)
        task.net.head.requires_grad_(False)
        run_metrics, tags = run(tmp_path / str(len(callbacks)), task, Images(batch_size=3), *loop, *callbacks, fit=True)
        flags = [(weight.requires_grad, weight.is_inference()) for weight in task.parameters()]
        modes = [module.training for module in task.modules()]
        return run_metrics, tags, task.state_dict(), flags, modes, torch.get_rng_state()

    metrics, tags, weights, *others, random_state = test(Attribution(examples=2))
    expected_metrics, no_tags, expected_weights, *expected_others, expected_state = test()
    assert (tags, no_tags) == (["test/attribution"], [])
    assert metrics == expected_metrics
    assert all(torch.equal(value, weights[name]) for name, value in expected_weights.items())
    assert others == expected_others
    assert torch.equal(random_state, expected_state)
    assert not [*tmp_path.rglob("attribution.csv")]


def test_averaged_weights_and_ensembles_are_supported(tmp_path):
    data = Images(batch_size=3)
    task = make_task(CNN(IMAGES, channels=[4]), IMAGES)
    assert run(tmp_path / "ema", task, data, EMAWeightAveraging(decay=0.5), Attribution(), fit=True)[1]
    ensemble = Ensemble(IMAGES, members={"a": CNN(IMAGES), "b": CNN(IMAGES)}, averaged="probabilities")
    assert run(tmp_path / "ensemble", make_task(ensemble, IMAGES), data, Attribution())[1] == ["test/attribution"]


def test_images_are_spread_over_the_split(tmp_path, monkeypatch):
    selected = []
    original = attributions.find_layer
    monkeypatch.setattr(
        attributions, "find_layer", lambda net, images: selected.append(images) or original(net, images)
    )
    data = Images(batch_size=3, eval_batch_size=3)
    run(tmp_path, make_task(CNN(IMAGES, channels=[4]), IMAGES), data, Attribution(examples=4))
    assert torch.equal(selected[0], data.splits["test"].inputs[[0, 1, 3, 4]])  # two of each batch


@pytest.mark.parametrize(
    ("spec", "data", "settings", "problem"),
    [
        (SERIES, Rows, {}, "attribution: no method for sequences such as those of data 'series'"),
        (TEXTS, Rows, {}, "attribution: no method for texts of Rows, whose unknown token is not known"),
        (VECTORS, pl.LightningDataModule, {"split": "val"}, "split: val is not available for LightningDataModule"),
        (VECTORS, Rows, {"layer": "blocks"}, "layer: has no effect on data 'vectors' with vectors; expected null"),
        (VECTORS, Rows, {"metric": "mae"}, "metric: the objective has no metric 'mae'"),
    ],
)
def test_data_without_a_method_are_an_error_before_the_run(spec, data, settings, problem):
    net = torch.nn.Identity()
    options = {"batch_size": 4} if data is Rows else {}
    with pytest.raises(UserError, match=f"callbacks.attribution.*{problem}|callbacks.{problem}"):
        Attribution(**settings).check(make_task(net, spec), data(**options))


def test_a_task_without_an_objective_is_an_error_before_the_run():
    with pytest.raises(UserError, match="no method for LightningModule; expected a model with one network"):
        Attribution().check(pl.LightningModule(), Rows(batch_size=4))


def test_a_caption_has_prediction_probability_and_true_class():
    captions = format_captions(torch.tensor([0, 1]), torch.tensor([0.934, 0.5]), torch.tensor([0, 2]), IMAGES)
    assert captions == [("predicted a (93%), true a", GREEN), ("predicted b (50%), true c", RED)]
    values = torch.tensor([[0.5]])
    assert format_captions(values, values[:, 0], values, VALUES) == [("predicted 0.5, true 0.5", BLACK)]
    assert format_captions(torch.tensor([1]), torch.tensor([0.5]), None, IMAGES) == [("predicted b (50%)", BLACK)]
