"""Pictures in folders: split by class, read when needed, the same whoever reads them and wherever a run was stopped."""

import json
import multiprocessing
import re
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import trainer
from trainer.core.errors import UserError
from trainer.data.image_folder import ImageFolder
from trainer.data.preprocessing.base import restored
from trainer.data.preprocessing.images import Images

CLASSES = ("bee", "cat", "dog")
TINY = ["data=image_folder", "data.path=my", "data.size=8", "data.batch_size=4", "model=cnn"]
TINY += ["model.net.channels=[2,2]", "model.net.hidden=[4]"]


def draw(folder, count, seed=0, suffix="png"):
    """Random pictures of 12 x 10 pixels, of each class of a colour."""
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        random = torch.Generator().manual_seed(seed + number)
        for picture in range(count):
            pixels = torch.randint(100, (3, 10, 12), generator=random, dtype=torch.uint8)
            pixels[number] += 150
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / name / f"{picture:02}.{suffix}")
    return folder


@pytest.fixture
def my(tmp_path):
    """A folder of 30 pictures in three classes."""
    return draw(tmp_path / "my", 10)


def ready(path, **settings):
    data = ImageFolder(path=str(path), **{"size": 8, "batch_size": 4, "workers": 0, "seed": 3} | settings)
    data.setup("fit")
    return data


def batches(loader, epochs=1):
    return [batch for _ in range(epochs) for batch in loader]


def same(left, right):
    return len(left) == len(right) and all(
        torch.equal(a, b) for pair in zip(left, right, strict=True) for a, b in zip(*pair, strict=True)
    )


CHANGED = {"mirror": True, "degrees": 10.0, "shift_pixels": 1.0, "scale": 0.1}


def test_the_batches_are_the_same_for_any_number_of_workers(my):
    by_workers = [batches(ready(my, workers=workers, **CHANGED).train_dataloader(), 2) for workers in (0, 1, 2)]
    assert [len(part) for _, part in by_workers[0]] == [4, 4, 4, 4, 2] * 2
    assert by_workers[0][0][0].shape == (4, 3, 8, 8)
    assert same(by_workers[0], by_workers[1])
    assert same(by_workers[0], by_workers[2])
    assert not same(by_workers[0][:5], by_workers[0][5:])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_epoch_gives_the_very_batches_that_were_left(my, workers):
    uninterrupted = batches(ready(my, **CHANGED).train_dataloader(), 2)
    loader = ready(my, workers=workers, **CHANGED).train_dataloader()
    loader.load_state_dict({"epoch": 1, "position": 3})
    assert same(batches(loader), uninterrupted[8:])


def test_what_was_left_of_an_epoch_is_all_that_is_read(my, monkeypatch):
    loader, read = ready(my).train_dataloader(), []
    picture = Images.picture
    monkeypatch.setattr(Images, "picture", lambda self, file: read.append(file) or picture(self, file))
    loader.load_state_dict({"epoch": 0, "position": 3})
    rest = batches(loader)
    assert len(read) == sum(len(targets) for _, targets in rest) == 6
    assert [CLASSES.index(Path(file).parent.name) for file in read] == torch.cat([t for _, t in rest]).tolist()


def test_the_position_counts_batches_given_out_not_those_read_ahead(my):
    loader = ready(my, workers=2).train_dataloader()
    some = iter(loader)
    next(some)
    assert loader.state_dict() == {"epoch": 0, "position": 1}


def test_two_processes_share_the_pictures(my):
    data = ready(my)
    loaders = [data._loader("train", shuffle=True) for _ in range(2)]
    for rank, loader in enumerate(loaders):
        loader.rank, loader.world_size = rank, 2
    shares = [torch.cat([loader.rows_of(number) for number in range(len(loader))]) for loader in loaders]
    assert sorted(torch.cat(shares).tolist()) == list(range(18))
    assert [len(inputs) for loader in loaders for inputs, _ in loader] == [4, 4, 1, 4, 4, 1]


def test_each_class_has_its_share_of_each_split_and_each_picture_is_in_one(my):
    data = ready(my)
    assert {stage: split.targets.bincount().tolist() for stage, split in data.splits.items()} == {
        "train": [6, 6, 6],
        "val": [2, 2, 2],
        "test": [2, 2, 2],
    }
    assert sorted(torch.cat([split.inputs for split in data.splits.values()]).tolist()) == list(range(30))
    cuts = [ready(my, **how).splits["test"].inputs.tolist() for how in ({}, {"seed": 4}, {"data_seed": 1})]
    assert cuts[0] == cuts[1] != cuts[2]


def test_splits_with_folders_are_taken_and_the_rest_is_cut_from_training(tmp_path):
    draw(tmp_path / "my/train", 5)
    draw(tmp_path / "my/valid", 2, seed=9, suffix="jpg")
    data = ready(tmp_path / "my")
    assert {stage: len(split.targets) for stage, split in data.splits.items()} == {"train": 12, "val": 6, "test": 3}
    assert {Path(data.files[number]).parts[-3] for number in data.splits["val"].inputs} == {"valid"}
    assert {Path(data.files[number]).parts[-3] for number in data.splits["test"].inputs} == {"train"}


def test_chosen_classes_are_numbered_as_they_are_listed(my):
    data = ready(my, classes=["dog", "bee"])
    assert (data.spec.class_names, data.spec.output_size) == (("dog", "bee"), 1)
    assert {Path(data.files[number]).parent.name for number in data.splits["train"].inputs[:6]} == {"dog"}


def test_the_middle_of_a_picture_is_kept_and_scaled_as_photographs_are(my):
    data = ready(my)
    inputs, _ = next(iter(data.val_dataloader()))
    first = Images((3, 8, 8), 0.0, 1.0, fit="crop").picture(data.files[data.splits["val"].inputs[0]])
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    torch.testing.assert_close(inputs[0], (first / 255 - mean) / deviation, atol=1e-5, rtol=0)
    low, high = data.spec.value_range
    assert (low, high) == pytest.approx((-2.1179, 2.64), abs=1e-4)
    assert ready(my, channels=1).spec.shape == (1, 8, 8)


def test_the_checksum_is_of_names_and_sizes_wherever_they_lie(my, tmp_path):
    moved, before = tmp_path / "moved", ready(my).checksum()
    my.rename(moved)
    assert ready(moved).checksum() == before
    (moved / "bee/00.png").rename(moved / "bee/99.png")
    renamed = ready(moved).checksum()
    (moved / "bee/99.png").write_bytes((moved / "bee/99.png").read_bytes() + b" ")
    assert len({before, renamed, ready(moved).checksum()}) == 3


def test_how_pictures_are_cut_goes_into_the_checkpoint_and_pictures_of_other_sets_need_no_choice(my):
    again = restored(ready(my, fit="pad").preprocessing.state())
    assert again.fit == "pad"
    assert "fit" not in Images((3, 4, 4), 0.0, 1.0).state()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"classes": ["bee", "cta"]}, "^data.classes: no class 'cta'; did you mean 'cat'[?]$"),
        ({"classes": ["bee"]}, r"^data.classes: \['bee'\] is not a list of two classes or more"),
        ({"workers": -1}, "^data.workers: -1 is less than 0$"),
        ({"mean": [0.5]}, r"^data.mean: \[0.5\] is not a number for each channel, of which there are 3$"),
        ({"deviation": [1, 1, 0]}, r"^data.deviation: \[1, 1, 0\] is not a number above 0 for each channel"),
        ({"val_share": 0.6, "test_share": 0.5}, "^data: one class has 10 examples alone, which cannot be cut into"),
    ],
)
def test_settings_that_cannot_be_are_refused(my, settings, said):
    with pytest.raises(UserError, match=said):
        ready(my, **settings)


def test_a_run_says_of_a_picture_what_a_prediction_says_and_its_test_is_that_of_the_files(my, command):
    outcome = command(*TINY, "data.workers=2", "trainer.max_epochs=2", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    model, data = trainer.load("run"), ready(my)
    files = [data.files[number] for number in data.splits["test"].inputs]
    said = model.predict(files)
    inputs = torch.cat([inputs for inputs, _ in data.test_dataloader()])
    with torch.no_grad():
        expected = model.net(inputs).softmax(1)
    torch.testing.assert_close(torch.tensor([[*each.probabilities.values()] for each in said]), expected)
    right = sum(each.label == Path(each.source).parent.name for each in said) / len(said)
    result = json.loads(Path("run/result.json").read_text())
    assert result["metrics"]["test/accuracy"] == pytest.approx(right)
    assert result["data_sha256"] == data.checksum()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_picture_is_named_and_nothing_else_is_said(my, command, workers):
    for file in my.glob("cat/*.png"):
        file.write_bytes(b"no picture at all")
    outcome = command(*TINY, f"data.workers={workers}", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err + outcome.out
    assert re.fullmatch(r"(\n|stopping.*)*error: my/cat/\d\d.png: no picture \(PNG, .*\)\n", outcome.err)
    assert multiprocessing.active_children() == []


def test_a_folder_that_was_mended_is_looked_at_again(command, tmp_path):
    (tmp_path / "my").mkdir()
    words = [*TINY, "trainer.max_epochs=1", "data.workers=0"]
    assert "no folders of classes in 'my'" in command(*words).err
    draw(tmp_path / "my", 5)
    assert command(*words).code == 0


STOPS = """
import signal
from pathlib import Path
from pytorch_lightning import Callback


class StopAt(Callback):
    def on_train_batch_end(self, trainer, *_):
        file = Path("stop")
        if file.exists() and trainer.fit_loop.total_batch_idx + 1 == 8:
            file.unlink()
            signal.raise_signal(signal.SIGTERM)
"""


@pytest.fixture
def stops(my, monkeypatch):
    """A callback that stops a run where there is a file `stop`."""
    monkeypatch.setenv("TRAINER_TRUST", "stops")
    (my.parent / "stops.py").write_text(STOPS)
    yield "+callbacks.stop._target_=stops.StopAt"
    sys.modules.pop("stops", None)


@pytest.mark.slow
def test_a_run_with_workers_that_was_stopped_inside_an_epoch_ends_as_if_it_had_not_been(stops, command):
    words = [stops, *TINY, "data.mirror=true", "model.net.dropout=0.5", "trainer.max_epochs=4", "data.workers=2"]
    assert command(*words, "hydra.run.dir=whole").code == 0
    Path("stop").touch()
    assert command(*words, "hydra.run.dir=stopped").code == 143
    assert multiprocessing.active_children() == []
    stopped = torch.load("stopped/checkpoints/last.ckpt", weights_only=True)
    assert stopped["global_step"] == 8  # of 5 an epoch
    assert command("resume", "stopped", "data.workers=1").code == 0
    ends = [torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True) for run in ("whole", "stopped")]
    assert [end["global_step"] for end in ends] == [20, 20]
    for name, weight in ends[0]["state_dict"].items():
        assert torch.equal(weight, ends[1]["state_dict"][name]), name
    assert Path("whole/metrics.csv").read_text() == Path("stopped/metrics.csv").read_text()
