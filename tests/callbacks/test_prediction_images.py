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

from trainer.callbacks.prediction_images import PredictedImages, PredictionImages, draw_predictions
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
    return PredictedImages(images, torch.tensor(predictions), torch.tensor(targets), torch.zeros(len(targets)))


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
    titles = [np.asarray(draw_predictions(make_examples([3], [true], image), NAMES, 1))[:18] for true in (3, 5, 7)]
    assert (titles[1] != titles[2]).any()
    widths = [np.flatnonzero((title != 255).any((0, 2))).max() for title in titles]
    assert widths[1] > widths[0] + 10


@pytest.mark.parametrize(
    ("images", "columns", "size"), [(1, 1, (72, 86)), (4, 10, (684, 86)), (10, 10, (684, 86)), (11, 4, (276, 250))]
)
def test_tiles_are_arranged_in_rows(images, columns, size):
    # a column is 64 + 4 pixels wide, a row 64 + 14 + 4 high, with 4 more at the end
    sheet = draw_predictions(make_examples([0] * images, [0] * images), NAMES, columns)
    assert sheet.size == size


def test_each_image_is_scaled_to_the_full_range():
    image = torch.tensor([[-2.0, 0.0], [-1.0, 2.0]]).view(1, 1, 2, 2).expand(3, 1, 2, 2)
    sheet = np.asarray(draw_predictions(make_examples([0] * 3, [0] * 3, image), NAMES, columns=2))
    for left, top in ((4, 18), (72, 18), (4, 100)):
        corners = [sheet[top + row, left + column, 0] for row in (0, 63) for column in (0, 63)]
        assert corners == [0, 127, 63, 255]
    assert (sheet[82:, 72:] == 255).all()


def test_colors_are_preserved():
    image = torch.zeros(1, 3, 4, 4)
    image[0, 1] = 1.0
    assert np.asarray(draw_predictions(make_examples([0], [0], image), NAMES, 1))[50, 30].tolist() == [0, 255, 0]


def test_an_image_of_one_color_is_drawn():
    assert np.asarray(draw_predictions(make_examples([0], [0], torch.ones(1, 1, 4, 4)), NAMES, 1))[50, 30].tolist() == [
        0,
        0,
        0,
    ]


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
    predictions, scores = outputs.argmax(1), outputs.softmax(1)[range(len(targets)), targets]
    wrong = sorted((predictions != targets).nonzero()[:, 0].tolist(), key=lambda row: scores[row])
    assert len(wrong) > 25
    for tag, rows in {"test/predictions": slice(25), "test/worst_predictions": wrong[:25]}.items():
        expected = draw_predictions(
            PredictedImages(images[rows], predictions[rows], targets[rows], scores[rows]), NAMES, 5
        )
        assert (decode(board[tag][0]) == np.asarray(expected)).all()
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
