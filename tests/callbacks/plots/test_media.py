"""Images and tables reach every logger that can store them."""

from types import SimpleNamespace

from PIL import Image
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.callbacks.plots.media import MediaLogger, log_image, log_table


class RecordingLogger(CSVLogger):
    """A logger with the two methods of `MediaLogger`, which stores their arguments."""

    def __init__(self, directory):
        super().__init__(directory)
        self.calls = []

    def log_image(self, key, images, step=None):
        self.calls.append(("image", key, [image.size for image in images], step))

    def log_table(self, key, columns=None, data=None, dataframe=None, step=None):  # the order of `WandbLogger`
        assert dataframe is None
        self.calls.append(("table", key, columns, data, step))


def make_trainer(*loggers, is_global_zero=True):
    return SimpleNamespace(loggers=loggers, is_global_zero=is_global_zero, global_step=7, datamodule=None)


def test_every_logger_gets_images_and_tables(tmp_path):
    recording = RecordingLogger(tmp_path / "recording")
    tensorboard = TensorBoardLogger(tmp_path / "board", name="", version="")
    assert isinstance(recording, MediaLogger)
    trainer = make_trainer(tensorboard, recording, CSVLogger(tmp_path / "csv"))
    log_image(lambda: Image.new("RGB", (4, 3)), "test/image", trainer)
    log_table(("name", "value"), [["<b>|x|\n*y*", "1"]], "test/table", trainer)
    assert recording.calls == [
        ("image", "test/image", [(4, 3)], 7),
        ("table", "test/table", ["name", "value"], [["<b>|x|\n*y*", "1"]], 7),
    ]
    tensorboard.experiment.close()
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [(event.step, event.width, event.height) for event in events.Images("test/image")] == [(7, 4, 3)]
    [text] = events.Tensors("test/table/text_summary")
    assert text.tensor_proto.string_val[0].decode().splitlines() == [
        "| name | value |",
        "| --- | --- |",
        r"| \<b\>\|x\| \*y\* | 1 |",
    ]


def test_nothing_is_drawn_without_such_a_logger_or_in_another_process(tmp_path):
    def draw():
        raise AssertionError("drawn")

    log_image(draw, "test/image", make_trainer(CSVLogger(tmp_path)))
    recording = RecordingLogger(tmp_path)
    log_image(draw, "test/image", make_trainer(recording, is_global_zero=False))
    log_table(("name",), [["a"]], "test/table", make_trainer(recording, is_global_zero=False))
    assert recording.calls == []
