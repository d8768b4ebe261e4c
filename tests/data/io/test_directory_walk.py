"""A user's directories: what systems and editors leave in them is no data anywhere, and what is skipped is logged."""

import os

import pytest
from PIL import Image

from trainer.core.errors import UserError
from trainer.data.image_folder import ImageFolder
from trainer.data.imdb import IMDB
from trainer.data.preprocessing.images import Images
from trainer.data.preprocessing.tabular import plain

LEFT = ["._0.png", ".DS_Store", "Thumbs.db"]


def draw(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (2, 2)).save(folder / name, "PNG")


@pytest.fixture
def my(tmp_path):
    """Five pictures in each of two classes, and what is no picture."""
    for name in ("a", "b"):
        draw(tmp_path / "my" / name, *(f"{number}.png" for number in range(5)))
        draw(tmp_path / "my" / name / ".ipynb_checkpoints", "0-checkpoint.png")
    draw(tmp_path / "my/__MACOSX/a", "._0.png")
    (tmp_path / "my/a/again").symlink_to("../a")
    (tmp_path / "my/b/1.heic").write_bytes(b"heic")
    return tmp_path / "my"


def skips(caplog):
    return [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]


def test_pictures_are_trained_on_once_and_one_line_of_the_log_says_what_was_skipped(my, caplog):
    data = ImageFolder(path=str(my), size=2, workers=0)
    data.setup("fit")
    assert [len(split.targets) for split in data.splits.values()] == [6, 2, 2]
    assert skips(caplog) == [f"{my}: skipped 3 hidden, 1 linked again, 1 .heic"]
    for name in ("a", "b"):
        draw(my.parent / "tidy" / name, *(f"{number}.png" for number in range(5)))
    ImageFolder(path=str(my.parent / "tidy"), size=2, workers=0).setup("fit")
    assert len(skips(caplog)) == 1


def test_directories_beside_those_of_splits_are_logged(my, caplog):
    (my / "extra").mkdir()
    for name in ("Train", "Valid", "Test"):
        (my / name).mkdir()
    for name in ("Train", "Valid"):
        for kind in ("a", "b"):
            draw(my / name / kind, "0.png", "1.png", "2.png", "3.png")
    for name in ("a", "b"):
        (my / name).rename(my.parent / name)
    data = ImageFolder(path=str(my), size=2, workers=0)
    data.setup("fit")
    assert {stage: len(split.targets) for stage, split in data.splits.items()} == {"train": 6, "val": 8, "test": 2}
    assert skips(caplog) == [f"{my}: skipped 1 directory 'Test', 1 directory 'extra'"]


def test_predictions_are_of_the_files_of_a_directory_without_what_systems_leave_behind(my, caplog):
    draw(my / "b", *LEFT, "5", "6.PPM")
    read = [*Images((3, 2, 2), 0.0, 1.0).read([my / "b"], 100)]
    names = ["0.png", "1.png", "2.png", "3.png", "4.png", "5", "6.PPM"]
    assert [source for part in read for source in part.sources] == [f"{my}/b/{name}" for name in names]
    assert skips(caplog) == [f"{my / 'b'}: skipped 4 hidden, 1 .heic"]


def test_predictions_of_rows_and_texts_skip_hidden_files_as_well(tmp_path, caplog):
    for name in ("1.csv", "._1.csv", "1.txt", "._1.txt", "notes.md"):
        (tmp_path / name).write_text("1,2\n")
    (tmp_path / "more").mkdir()
    [part] = plain(2).read([tmp_path], 10)
    assert part.sources == [f"{tmp_path}/1.csv"]
    assert skips(caplog) == [f"{tmp_path}: skipped 2 hidden, 1 .txt, 1 subdir, 1 .md"]
    data = IMDB(synthetic=True, dir=str(tmp_path), vocabulary_size=300)
    data.setup("fit")
    [part] = data.preprocessing.read([tmp_path], 10)
    assert part.sources == [f"{tmp_path}/1.txt"]


def test_hidden_files_are_no_reviews(tmp_path):
    for part in ("train/neg", "train/pos", "test/neg", "test/pos"):
        (tmp_path / part).mkdir(parents=True)
        for number in range(2):
            (tmp_path / part / f"{number}_1.txt").write_text(f"review {part} {number}")
            (tmp_path / part / f"._{number}_1.txt").write_bytes(b"\0\5\26\7")
    data = IMDB(dir=str(tmp_path), path=".", val_size=2)
    data.setup("fit")
    assert [len(split.targets) for split in data.splits.values()] == [2, 2, 4]


def test_hidden_copies_of_runs_and_settings_are_not_listed(command, tmp_path):
    quick = ["data=xor", "trainer.max_epochs=1", "test=false", "callbacks=none", "logger=none"]
    assert command(*quick, "hydra.run.dir=outputs/one").code == 0
    (tmp_path / "outputs/.trash").mkdir()
    (tmp_path / "outputs/one").rename(tmp_path / "outputs/.trash/one")
    for file in ("experiments/._mine.yaml", "conf/model/._mine.yaml", "experiments/mine.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"\0\5\26\7" if "._" in file else b"seed: 7\n")
    assert command(*quick, "hydra.run.dir=outputs/two").code == 0
    assert "trash" not in command("runs").out
    listed = command("list").out
    assert ("mine" in listed, "._mine" in listed) == (True, False)


def test_a_directory_that_cannot_be_read_is_refused_by_name(my, monkeypatch):
    draw(my / "b/deep", "9.png")
    scandir = os.scandir

    def closed(path="."):
        if str(path).endswith("/b/deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)  # permissions do not keep an administrator out
    with pytest.raises(UserError, match=r"/b/deep: cannot be read: Permission denied$"):
        ImageFolder(path=str(my), size=2, workers=0).setup("fit")
