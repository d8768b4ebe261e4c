"""Attention maps: heat where a network looks, under green and red titles, and silence for networks that do not look."""

import io
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim import SGD

from trainer.callbacks.attention_maps import AttentionPictures, Attentive, Example, draw, title, weights_of
from trainer.callbacks.plots.heatmap import (
    BLACK,
    GAP,
    HOT,
    LINE,
    SIDE,
    WHITE,
    behind_words,
    in_rows,
    matrix,
    over_image,
    titled,
)
from trainer.callbacks.prediction_images import GREEN, RED
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.digits import Digits
from trainer.data.loading.split import Split
from trainer.model.attention import SelfAttention
from trainer.model.linear import Linear
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

IMAGES = DataSpec("images", "image", (1, 4, 6), "classes", 3, ("a", "b", "c"))
TEXTS = DataSpec("texts", "tokens", (6,), "classes", 1, ("bad", "good"), vocabulary_size=4)
SERIES = DataSpec("series", "sequence", (3, 1), "values", output_size=2)
VOCABULARY = ["<padding>", "<unknown>", "film", "fine"]


class Texts(TensorData):
    """Texts of 1 to 6 tokens, the long ones first."""

    vocabulary = VOCABULARY
    spec = TEXTS

    def load(self):
        tokens = torch.full((6, 6), 2).tril().flip(0)
        return {stage: Split(tokens, torch.tensor([0, 1] * 3)) for stage in ("train", "val", "test")}

    def lengths(self, inputs):
        return (inputs != 0).sum(1)


def hot(picture):
    """Where a picture has the hottest colour: rows and columns."""
    return (np.abs(np.asarray(picture).astype(int) - HOT).sum(2) < 12).nonzero()


def run(tmp_path, data, net, callback, *, fit=False, **settings):
    """Test (and train) with the callback; returns the pictures by their tags."""
    task = Supervised(net, objective_for(data.spec), partial(SGD, lr=0.01), constant)
    logger = TensorBoardLogger(tmp_path, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        accelerator="cpu", logger=logger, callbacks=[callback], log_every_n_steps=1, **quiet | settings
    )
    if fit:
        trainer.fit(task, data)
    trainer.test(task, data, verbose=False)
    logger.experiment.flush()
    board = EventAccumulator(str(tmp_path / "board"), size_guidance={"images": 0})
    board.Reload()
    return {tag: board.Images(tag) for tag in board.Tags()["images"]}


def decoded(event):
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))


def test_the_patch_that_weighs_most_is_the_hottest():
    weights = torch.tensor([[0.1, 0.0, 0.2], [0.0, 0.6, 0.1]])
    picture = np.asarray(over_image(torch.full((1, 4, 6), 0.5), weights))
    assert picture.shape == (SIDE, 2 * SIDE + GAP, 3)
    # on the left the image alone: it is of one colour, so black
    assert (picture[:, :SIDE] == 0).all()
    redness = picture[..., 0].astype(int) - picture[..., 2]
    rows, columns = (redness == redness.max()).nonzero()
    left = SIDE + GAP
    assert (rows.min(), rows.max()) == (SIDE // 2, SIDE - 1)
    assert columns.min() - left == pytest.approx(SIDE / 3, abs=1)
    assert columns.max() - left == pytest.approx(2 * SIDE / 3, abs=1)
    assert redness[10, left + 80] == 0  # where nobody looks it is grey


def test_the_image_is_shown_in_its_colours_beside_the_heat():
    image = torch.zeros(3, 4, 4)
    image[1, 0] = 2.0
    picture = np.asarray(over_image(image, torch.ones(1, 1)))
    assert picture[10, 10].tolist() == [0, 255, 0]
    assert picture[80, 10].tolist() == [0, 0, 0]


def test_the_word_that_weighs_most_has_the_hottest_background():
    picture = behind_words(["a", "fine", "film"], torch.tensor([0.0, 0.8, 0.0]), 300)
    assert picture.size == (300, LINE)
    pixels = np.asarray(picture)
    assert pixels[0, 1].tolist() == list(WHITE)
    _, columns = hot(picture)
    assert columns.min() > 5
    assert columns.max() < 60


@pytest.mark.parametrize(
    ("weights", "background"),
    [
        ([0.5, 0.8, 0.0, 0.1], [255, 207, 170]),  # 0.15 above the mean, the greatest 0.45: a third of the way
        ([0.3, 0.8, 0.0, 0.1], list(WHITE)),  # the mean itself
        ([0.1, 0.8, 0.0, 0.1], list(WHITE)),  # below it
        ([0.25, 0.25, 0.25, 0.25], list(WHITE)),
    ],
)
def test_heat_begins_above_the_mean(weights, background):
    assert np.asarray(behind_words(["a", "b", "c", "d"], torch.tensor(weights), 300))[0, 1].tolist() == background


def test_words_go_on_in_the_next_line_and_end_at_the_most():
    assert behind_words(["word"] * 20, torch.ones(20), 200).height > LINE
    many = behind_words(["word"] * 301, torch.ones(301), 900)
    assert many.size == behind_words(["word"] * 400, torch.ones(400), 900).size
    assert many.height < behind_words(["word"] * 150 + ["longerword"] * 150, torch.ones(300), 900).height


def test_a_matrix_has_queries_from_top_to_bottom_and_keys_from_left_to_right():
    rows, columns = hot(matrix(torch.tensor([[0.1, 0.1, 0.8], [0.5, 0.3, 0.2]])))
    assert rows.max() == SIDE // 2
    assert columns.min() - LINE == pytest.approx(2 * SIDE / 3, abs=1)


def test_a_title_stands_above_and_makes_room_for_itself():
    picture = titled(Image.new("RGB", (10, 20), WHITE), "something long", RED)
    assert picture.height == LINE + 20
    assert picture.width > 60


def test_pictures_stand_in_rows_as_high_as_their_highest():
    pictures = [Image.new("RGB", (10, height), BLACK) for height in (5, 15, 20)]
    sheet = in_rows(pictures, 2)
    assert sheet.size == (GAP + 2 * (10 + GAP), GAP + 15 + GAP + 20 + GAP)
    pixels = np.asarray(sheet)
    assert (pixels[GAP + 15 + GAP, GAP] == BLACK).all()
    assert (pixels[GAP + 10, GAP] == WHITE).all()


def test_weights_are_what_all_places_give_or_the_first_alone():
    looks = torch.tensor([[0.2, 0.3, 0.5], [0.0, 0.5, 0.5], [0.4, 0.4, 0.2]])
    assert weights_of(looks, has_first=False).tolist() == pytest.approx([0.2, 0.4, 0.4])
    assert weights_of(looks, has_first=True).tolist() == pytest.approx([0.3, 0.5])


def test_a_title_says_the_truth_where_it_differs():
    def said(spec, prediction, target):
        return title(Example(torch.zeros(1), torch.zeros(1), torch.tensor(prediction), torch.tensor(target)), spec)

    assert said(IMAGES, 1, 1) == ("b", GREEN)
    assert said(IMAGES, 1, 2) == ("b (c)", RED)
    assert said(TEXTS, 1, 0) == ("good (bad)", RED)
    assert said(SERIES, [0.5, 1234.5678], [0.25, -2.0]) == ("0.5, 1.23e+03 (0.25, -2)", BLACK)


@pytest.mark.parametrize("vocabulary", [None, VOCABULARY])
def test_padding_is_no_word_and_the_last_layers_mean_over_heads_is_drawn(vocabulary):
    maps = torch.zeros(2, 2, 6, 6)
    maps[0, ..., 0] = 1.0  # the first layer looks at the first word, which is not drawn
    maps[1, 0, ..., 1] = maps[1, 1, ..., 2] = 1.0  # one head of the last at the second word, one at the third
    maps[1, :, 3:] = torch.eye(6)[0]  # what stands at padding looks at nothing that counts
    tokens = torch.tensor([2, 3, 2, 0, 0, 0])
    sheet = draw([Example(tokens, maps, torch.tensor(1), torch.tensor(1))], TEXTS, 4, False, vocabulary)
    words = [vocabulary[token] for token in (2, 3, 2)] if vocabulary else ["2", "3", "2"]
    expected = behind_words(words, torch.tensor([0.0, 0.5, 0.5]), 900)
    assert (np.asarray(sheet)[GAP + LINE : -GAP, GAP:-GAP] == np.asarray(expected)).all()


@pytest.mark.parametrize("pooled", ["mean", "first"])
@pytest.mark.parametrize("spec", [IMAGES, TEXTS, SERIES])
def test_all_kinds_of_data_are_drawn(spec, pooled):
    net = SelfAttention(spec, width=8, heads=2, patch_size=2, pooled=pooled)
    assert isinstance(net, Attentive)
    inputs = torch.randint(1, 4, (1, 6)) if spec is TEXTS else torch.randn(1, *spec.shape)
    objective, outputs = objective_for(spec), net(inputs)
    prediction = objective.predictions(outputs)[0].detach()
    example = Example(inputs[0], net.attention_maps(inputs)[:, 0].detach(), prediction, prediction)
    sheet = draw([example] * 5, spec, 2, pooled == "first", VOCABULARY)
    assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 10


def test_tensorboard_gets_a_picture_after_the_test_and_after_the_last_epoch(tmp_path):
    data = Digits(val_size=30, test_size=30)
    settings = {"max_epochs": 3, "limit_train_batches": 2, "num_sanity_val_steps": 1}
    board = run(tmp_path, data, SelfAttention(data.spec), AttentionPictures(), fit=True, **settings)
    assert {tag: [event.step for event in events] for tag, events in board.items()} == {
        "val/attention": [6],
        "test/attention": [6],
    }


def test_examples_are_spread_over_the_split_from_short_to_long(tmp_path):
    data, net = Texts(batch_size=2, eval_batch_size=1), SelfAttention(TEXTS, width=8, heads=2, dropout=0.5)
    board = run(tmp_path, data, net, AttentionPictures(examples=3))
    tokens = torch.tensor(
        [[2] * length + [0] * (6 - length) for length in (1, 3, 5)]
    )  # of six batches the first, third and fifth
    targets = torch.tensor([1, 1, 1])
    net.eval()
    rows = (tokens, net.attention_maps(tokens).transpose(0, 1), objective_for(TEXTS).predictions(net(tokens)), targets)
    expected = draw([Example(*row) for row in zip(*rows, strict=True)], TEXTS, 4, False, VOCABULARY)
    assert np.abs(decoded(board["test/attention"][0]).astype(int) - np.asarray(expected)).max() <= 1


def test_networks_that_do_not_look_get_no_picture(tmp_path):
    data = Digits(val_size=30, test_size=30)
    assert run(tmp_path, data, Linear(data.spec), AttentionPictures()) == {}
