"""Images of predictions with green and red titles, and their tags in TensorBoard."""

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

from trainer.callbacks.plots.image_grid import GAP_PIXELS, TILE_PIXELS, TITLE_LINE_PIXELS, arrange_tiles
from trainer.callbacks.prediction_images import PredictedImages, PredictionImages, draw_predictions, find_worst
from trainer.data.digits import Digits
from trainer.data.xor import XOR
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

NAMES = tuple("0123456789")


def make_examples(predictions, targets, images=None):
    random = torch.Generator().manual_seed(0)
    images = torch.rand(len(targets), 1, 8, 8, generator=random) if images is None else images
    scores = torch.full((2, len(targets)), 0.5)
    return PredictedImages(images, torch.tensor(predictions), torch.tensor(targets), *scores)


def count_colors(picture):
    """Return the numbers of green and of red pixels; edges of letters are mixed with white."""
    red, green, _ = np.asarray(picture).astype(int).transpose(2, 0, 1)
    return int((green - red > 60).sum()), int((red - green > 60).sum())


def fit(tmp_path, callback, data=None, *, epochs=1, test=True, **settings):
    """Train for some steps; return the task, the data and the images by tag."""
    data = data or Digits(val_size=30, test_size=50, eval_batch_size=20)
    torch.manual_seed(0)
    task = Supervised(Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.01), constant)
    logger = TensorBoardLogger(tmp_path, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        **{"max_epochs": epochs, "limit_train_batches": 2, "num_sanity_val_steps": 1} | settings | quiet,
        accelerator="cpu",
        logger=logger,
        callbacks=[callback],
        log_every_n_steps=1,
    )
    trainer.fit(task, data)
    if test:
        trainer.test(task, data, verbose=False)
    logger.experiment.flush()
    board = EventAccumulator(str(tmp_path / "board"), size_guidance={"images": 0})
    board.Reload()
    return task, data, {tag: board.Images(tag) for tag in board.Tags()["images"]}


def decode(event):
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))


def test_a_correct_prediction_has_a_green_title():
    green, red = count_colors(draw_predictions(make_examples([3], [3]), NAMES, columns=1))
    assert green > 5
    assert red == 0


def test_a_wrong_prediction_has_a_red_title():
    green, red = count_colors(draw_predictions(make_examples([3], [5]), NAMES, columns=1))
    assert green == 0
    assert red > 5


def test_the_title_of_a_wrong_prediction_contains_the_true_class():
    image = torch.zeros(1, 1, 8, 8)
    heights = [draw_predictions(make_examples([3], [true], image), NAMES, 1).height for true in (3, 5)]
    assert heights[1] == heights[0] + TITLE_LINE_PIXELS
    titles = [np.asarray(draw_predictions(make_examples([3], [true], image), NAMES, 1))[:42] for true in (5, 7)]
    assert (titles[0] != titles[1]).any()


def test_long_class_names_do_not_run_into_one_another():
    sheet = np.asarray(draw_predictions(make_examples([0, 1], [0, 1]), ["supercalifragilistic", "m" * 99], 2))
    is_blank = (sheet[:TITLE_LINE_PIXELS] == 255).all((0, 2))
    middle = (sheet.shape[1] - GAP_PIXELS) // 2
    assert is_blank[middle : middle + GAP_PIXELS].all()
    assert sheet.shape[1] < 2 * 160


@pytest.mark.parametrize(
    ("images", "columns", "shape"), [(1, 1, (1, 1)), (4, 10, (1, 4)), (10, 10, (1, 10)), (11, 4, (3, 4))]
)
def test_tiles_are_arranged_in_rows(images, columns, shape):
    sheet = draw_predictions(make_examples([0] * images, [0] * images), NAMES, columns)
    row_height = TILE_PIXELS + TITLE_LINE_PIXELS + GAP_PIXELS
    expected = (shape[1] * (TILE_PIXELS + GAP_PIXELS) + GAP_PIXELS, shape[0] * row_height + GAP_PIXELS)
    assert sheet.size == expected


def test_each_group_starts_a_new_row():
    assert arrange_tiles([3, 3, 3, 5, 7, 7], 2) == [(0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (3, 1)]


def test_the_worst_of_each_class_come_before_the_second_worst_of_any():
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    targets = torch.tensor([7, 7, 7, 2, 2])
    assert find_worst(scores, targets, 10).tolist() == [0, 3, 1, 4, 2]
    assert find_worst(scores, targets, 3).tolist() == [0, 3, 1]
    assert find_worst(scores[:0], targets[:0], 3).tolist() == []


def test_each_image_is_scaled_to_the_full_range():
    image = torch.tensor([[-2.0, 0.0], [-1.0, 2.0]]).view(1, 1, 2, 2).expand(3, 1, 2, 2)
    sheet = np.asarray(draw_predictions(make_examples([0] * 3, [0] * 3, image), NAMES, columns=2))
    top, left, end = GAP_PIXELS + TITLE_LINE_PIXELS, GAP_PIXELS, TILE_PIXELS - 1
    step = TILE_PIXELS + GAP_PIXELS
    for x, y in ((left, top), (left + step, top), (left, top + step + TITLE_LINE_PIXELS)):
        corners = [sheet[y + row, x + column, 0] for row in (0, end) for column in (0, end)]
        assert corners == [0, 127, 63, 255]


def test_colors_are_preserved():
    image = torch.zeros(1, 3, 4, 4)
    image[0, 1] = 1.0
    assert np.asarray(draw_predictions(make_examples([0], [0], image), NAMES, 1))[50, 30].tolist() == [0, 255, 0]


def test_an_image_of_one_color_is_drawn():
    sheet = draw_predictions(make_examples([0], [0], torch.ones(1, 1, 4, 4)), NAMES, 1)
    assert np.asarray(sheet)[50, 30].tolist() == [0, 0, 0]


def test_predictions_and_worst_predictions_are_logged_in_validation_and_test(tmp_path):
    _, _, board = fit(tmp_path, PredictionImages(images=20, columns=5))
    assert set(board) == {"val/predictions", "val/worst_predictions", "test/predictions", "test/worst_predictions"}
    assert [event.step for events in board.values() for event in events] == [2, 2, 2, 2]


@pytest.mark.parametrize("buffer_size", [1, 2000, 2**20], ids=["each_batch", "some", "all"])
def test_the_first_images_and_the_worst_predictions_are_drawn(buffer_size, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.callbacks.prediction_images.MAX_BUFFERED_VALUES", buffer_size)
    task, data, board = fit(tmp_path, PredictionImages(images=25, columns=5))
    images, targets = data.splits["test"]
    images = data.prepare(images)
    outputs = task(images).detach()
    predictions, probabilities = outputs.argmax(1), outputs.softmax(1)
    numbers = range(len(targets))
    scores = probabilities[numbers, targets]
    examples = PredictedImages(images, predictions, targets, probabilities[numbers, predictions], scores)
    by_score = sorted((predictions != targets).nonzero()[:, 0].tolist(), key=lambda row: scores[row])
    assert len(by_score) > 25
    by_class = [[row for row in by_score if targets[row] == digit] for digit in range(10)]
    ranks = {row: rank for rows in by_class for rank, row in enumerate(rows)}
    worst = sorted(by_score, key=lambda row: (ranks[row], scores[row]))[:25]
    worst.sort(key=lambda row: (targets[row], scores[row]))
    for tag, rows in {"predictions": [*range(25)], "worst_predictions": worst}.items():
        groups = None if tag == "predictions" else targets[rows].tolist()
        expected = draw_predictions(examples.select(torch.tensor(rows)), NAMES, 5, groups)
        assert (decode(board[f"test/{tag}"][0]) == np.asarray(expected)).all()
    assert count_colors(decode(board["test/worst_predictions"][0]))[0] == 0


def test_validation_is_drawn_every_n_epochs_and_in_the_last(tmp_path):
    _, _, board = fit(tmp_path, PredictionImages(every_n_epochs=2), epochs=5, test=False)
    assert [event.step for event in board["val/predictions"]] == [4, 8, 10]  # 2 steps per epoch
    assert set(board) == {"val/predictions", "val/worst_predictions"}


def test_the_sanity_check_is_not_drawn(tmp_path):
    _, _, board = fit(tmp_path, PredictionImages(every_n_epochs=1), epochs=2, test=False)
    assert [event.step for event in board["val/predictions"]] == [2, 4]


def test_vectors_get_no_image(tmp_path):
    _, _, board = fit(tmp_path, PredictionImages(every_n_epochs=1), XOR(batch_size=2))
    assert board == {}


class Trivial(Digits):
    """Digits with one bright pixel, whose index is the class."""

    def load(self):
        splits = super().load()
        for split in splits.values():
            split.inputs.zero_().flatten(1).scatter_(1, split.targets[:, None], 16)
        return splits


def test_worst_predictions_are_not_drawn_if_all_are_correct(tmp_path):
    data = Trivial(val_size=30, test_size=30)
    task = Supervised(Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.0), constant)
    torch.nn.init.eye_(task.net.layer.weight)
    torch.nn.init.zeros_(task.net.layer.bias)
    logger = TensorBoardLogger(tmp_path, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    pl.Trainer(accelerator="cpu", logger=logger, callbacks=[PredictionImages()], **quiet).test(
        task, data, verbose=False
    )
    logger.experiment.flush()
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    assert board.Tags()["images"] == ["test/predictions"]
