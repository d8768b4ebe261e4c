"""Attention maps drawn over images, texts and sequences."""

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

from trainer.callbacks.attention_maps import (
    AttentionMaps,
    Example,
    SupportsAttentionMaps,
    compute_key_weights,
    draw_examples,
)
from trainer.callbacks.plots.heatmap import (
    GAP_PIXELS,
    HEAT_COLOR,
    LINE_HEIGHT_PIXELS,
    SIDE_PIXELS,
    add_title,
    arrange_in_rows,
    draw_image_heatmap,
    draw_matrix_heatmap,
    draw_text_heatmap,
)
from trainer.callbacks.plots.style import BLACK, RED, WHITE
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.digits import Digits
from trainer.data.loading.split import Split
from trainer.inference.attribution.predicted_output import select_scores
from trainer.model.attention import SelfAttention
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

IMAGES = DataSpec("images", "image", (1, 4, 6), "classification", 3, ("a", "b", "c"))
TEXTS = DataSpec("texts", "tokens", (6,), "classification", 1, ("bad", "good"), vocabulary_size=4)
SERIES = DataSpec("series", "sequence", (3, 1), "regression", output_size=2)
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


def find_hot_pixels(picture):
    """Return rows and columns of the pixels with the hottest color."""
    return (np.abs(np.asarray(picture).astype(int) - HEAT_COLOR).sum(2) < 12).nonzero()


def run(tmp_path, data, net, callback, *, fit=False, **settings):
    """Test (and train) with the callback; return the images by tag."""
    task = Supervised(net, make_objective(data.spec), partial(SGD, lr=0.01), constant)
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


def decode(event):
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))


def test_the_patch_with_the_largest_weight_is_the_hottest():
    weights = torch.tensor([[0.1, 0.0, 0.2], [0.0, 0.6, 0.1]])
    picture = np.asarray(draw_image_heatmap(torch.full((1, 4, 6), 0.5), weights))
    assert picture.shape == (SIDE_PIXELS, 2 * SIDE_PIXELS + GAP_PIXELS, 3)
    # the image itself is black, as it has one color
    assert (picture[:, :SIDE_PIXELS] == 0).all()
    redness = picture[..., 0].astype(int) - picture[..., 2]
    rows, columns = (redness == redness.max()).nonzero()
    left = SIDE_PIXELS + GAP_PIXELS
    assert (rows.min(), rows.max()) == (SIDE_PIXELS // 2, SIDE_PIXELS - 1)
    assert columns.min() - left == pytest.approx(SIDE_PIXELS / 3, abs=1)
    assert columns.max() - left == pytest.approx(2 * SIDE_PIXELS / 3, abs=1)
    assert redness[10, left + 80] == 0  # gray without heat


def test_the_image_is_drawn_in_color_next_to_the_heatmap():
    image = torch.zeros(3, 4, 4)
    image[1, 0] = 2.0
    picture = np.asarray(draw_image_heatmap(image, torch.ones(1, 1)))
    assert picture[10, 10].tolist() == [0, 255, 0]
    assert picture[80, 10].tolist() == [0, 0, 0]


def test_the_word_with_the_largest_weight_has_the_hottest_background():
    picture = draw_text_heatmap(["a", "fine", "film"], torch.tensor([0.0, 0.8, 0.0]), 300)
    assert picture.size == (300, LINE_HEIGHT_PIXELS)
    pixels = np.asarray(picture)
    assert pixels[0, 1].tolist() == list(WHITE)
    _, columns = find_hot_pixels(picture)
    assert columns.min() > 5
    assert columns.max() < 60


@pytest.mark.parametrize(
    ("weights", "background"),
    [
        ([0.5, 0.8, 0.0, 0.1], [255, 207, 170]),  # 0.15 above the mean, and the largest 0.45: a third
        ([0.3, 0.8, 0.0, 0.1], list(WHITE)),  # the mean itself
        ([0.1, 0.8, 0.0, 0.1], list(WHITE)),  # below it
        ([0.25, 0.25, 0.25, 0.25], list(WHITE)),
    ],
)
def test_only_weights_above_the_mean_are_colored(weights, background):
    assert np.asarray(draw_text_heatmap(["a", "b", "c", "d"], torch.tensor(weights), 300))[0, 1].tolist() == background


def test_words_wrap_and_are_limited_in_number():
    assert draw_text_heatmap(["word"] * 20, torch.ones(20), 200).height > LINE_HEIGHT_PIXELS
    many = draw_text_heatmap(["word"] * 301, torch.ones(301), 900)
    assert many.size == draw_text_heatmap(["word"] * 400, torch.ones(400), 900).size
    assert many.height < draw_text_heatmap(["word"] * 150 + ["longerword"] * 150, torch.ones(300), 900).height


def test_a_matrix_has_queries_from_top_to_bottom_and_keys_from_left_to_right():
    rows, columns = find_hot_pixels(draw_matrix_heatmap(torch.tensor([[0.1, 0.1, 0.8], [0.5, 0.3, 0.2]])))
    assert rows.max() == SIDE_PIXELS // 2
    assert columns.min() - LINE_HEIGHT_PIXELS == pytest.approx(2 * SIDE_PIXELS / 3, abs=1)


def test_a_title_is_drawn_above_the_image_and_widens_it():
    picture = add_title(Image.new("RGB", (10, 20), WHITE), "something long", RED)
    assert picture.height == LINE_HEIGHT_PIXELS + 20
    assert picture.width > 60


def test_images_are_arranged_in_rows_of_the_height_of_the_highest():
    pictures = [Image.new("RGB", (10, height), BLACK) for height in (5, 15, 20)]
    sheet = arrange_in_rows(pictures, 2)
    assert sheet.size == (GAP_PIXELS + 2 * (10 + GAP_PIXELS), GAP_PIXELS + 15 + GAP_PIXELS + 20 + GAP_PIXELS)
    pixels = np.asarray(sheet)
    assert (pixels[GAP_PIXELS + 15 + GAP_PIXELS, GAP_PIXELS] == BLACK).all()
    assert (pixels[GAP_PIXELS + 10, GAP_PIXELS] == WHITE).all()


def test_key_weights_come_from_all_queries_or_from_the_first():
    weights = torch.tensor([[0.2, 0.3, 0.5], [0.0, 0.5, 0.5], [0.4, 0.4, 0.2]])
    assert compute_key_weights(weights, has_first=False).tolist() == pytest.approx([0.2, 0.4, 0.4])
    assert compute_key_weights(weights, has_first=True).tolist() == pytest.approx([0.3, 0.5])


@pytest.mark.parametrize("vocabulary", [None, VOCABULARY])
def test_padding_is_omitted_and_the_mean_over_heads_of_the_last_layer_is_drawn(vocabulary):
    maps = torch.zeros(2, 2, 6, 6)
    maps[0, ..., 0] = 1.0  # the first layer, which is not drawn
    maps[1, 0, ..., 1] = maps[1, 1, ..., 2] = 1.0  # the last layer: one head for the second word, one for the third
    maps[1, :, 3:] = torch.eye(6)[0]  # queries at padding are ignored
    tokens = torch.tensor([2, 3, 2, 0, 0, 0])
    sheet = draw_examples(
        [Example(tokens, maps, torch.tensor(1), torch.tensor(0.9), torch.tensor(1))], TEXTS, 4, False, vocabulary
    )
    words = [vocabulary[token] for token in (2, 3, 2)] if vocabulary else ["2", "3", "2"]
    expected = draw_text_heatmap(words, torch.tensor([0.0, 0.5, 0.5]), 900)
    assert (
        np.asarray(sheet)[GAP_PIXELS + LINE_HEIGHT_PIXELS : -GAP_PIXELS, GAP_PIXELS:-GAP_PIXELS] == np.asarray(expected)
    ).all()


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("spec", [IMAGES, TEXTS, SERIES])
def test_all_kinds_of_data_are_drawn(spec, pooling):
    net = SelfAttention(spec, width=8, heads=2, patch_size=2, pooling=pooling)
    assert isinstance(net, SupportsAttentionMaps)
    inputs = torch.randint(1, 4, (1, 6)) if spec is TEXTS else torch.randn(1, *spec.shape)
    objective, outputs = make_objective(spec), net(inputs)
    prediction = objective.predictions(outputs)[0].detach()
    example = Example(inputs[0], net.attention_maps(inputs)[:, 0].detach(), prediction, torch.tensor(0.9), prediction)
    sheet = draw_examples([example] * 5, spec, 2, pooling == "first", VOCABULARY)
    assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 10


def test_images_are_logged_after_the_test_and_after_the_last_epoch(tmp_path):
    data = Digits(val_size=30, test_size=30)
    settings = {"max_epochs": 3, "limit_train_batches": 2, "num_sanity_val_steps": 1}
    board = run(tmp_path, data, SelfAttention(data.spec), AttentionMaps(), fit=True, **settings)
    assert {tag: [event.step for event in events] for tag, events in board.items()} == {
        "val/attention": [6],
        "test/attention": [6],
    }


def test_examples_are_spread_over_the_split(tmp_path):
    data, net = Texts(batch_size=2, eval_batch_size=1), SelfAttention(TEXTS, width=8, heads=2, dropout=0.5)
    board = run(tmp_path, data, net, AttentionMaps(examples=3))
    tokens = torch.tensor(
        [[2] * length + [0] * (6 - length) for length in (1, 3, 5)]
    )  # the first, third and fifth of six batches
    targets = torch.tensor([1, 1, 1])
    net.eval()
    objective, outputs = make_objective(TEXTS), net(tokens)
    predictions = objective.predictions(outputs)
    results = (predictions, select_scores(outputs, predictions, objective), targets)
    rows = (tokens, net.attention_maps(tokens).transpose(0, 1), *results)
    expected = draw_examples([Example(*row) for row in zip(*rows, strict=True)], TEXTS, 4, False, VOCABULARY)
    assert np.abs(decode(board["test/attention"][0]).astype(int) - np.asarray(expected)).max() <= 1


def test_networks_without_attention_get_no_image(tmp_path):
    data = Digits(val_size=30, test_size=30)
    assert run(tmp_path, data, Linear(data.spec), AttentionMaps()) == {}
