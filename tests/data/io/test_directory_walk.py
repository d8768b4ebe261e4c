"""Hidden and system files are skipped everywhere, and the number of skipped files is logged."""

import os

import pytest
from PIL import Image

from trainer.core.errors import UserError
from trainer.data import imdb
from trainer.data.image_folder import ImageFolder
from trainer.data.imdb import IMDB
from trainer.data.preprocessing.images import ImagePreprocessing
from trainer.data.preprocessing.tabular import make_passthrough

LEFT = ["._0.png", ".DS_Store", "Thumbs.db"]


def draw(directory, *names):
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (2, 2)).save(directory / name, "PNG")


@pytest.fixture
def image_dir(tmp_path):
    """Create five images in each of two classes, and other files."""
    for name in ("a", "b"):
        draw(tmp_path / "my" / name, *(f"{number}.png" for number in range(5)))
        draw(tmp_path / "my" / name / ".ipynb_checkpoints", "0-checkpoint.png")
    draw(tmp_path / "my/__MACOSX/a", "._0.png")
    (tmp_path / "my/a/again").symlink_to("../a")
    (tmp_path / "my/b/1.heic").write_bytes(b"heic")
    return tmp_path / "my"


def skip_messages(caplog):
    return [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]


def test_images_are_read_once_and_skipped_files_are_logged_in_one_line(image_dir, caplog):
    data = ImageFolder(path=str(image_dir), size=2, workers=0)
    data.setup("fit")
    assert [len(split.targets) for split in data.splits.values()] == [6, 2, 2]
    assert skip_messages(caplog) == [f"{image_dir}: skipped 3 hidden, 1 linked again, 1 .heic"]
    for name in ("a", "b"):
        draw(image_dir.parent / "tidy" / name, *(f"{number}.png" for number in range(5)))
    ImageFolder(path=str(image_dir.parent / "tidy"), size=2, workers=0).setup("fit")
    assert len(skip_messages(caplog)) == 1


def test_unused_directories_are_logged(image_dir, caplog):
    (image_dir / "extra").mkdir()
    for name in ("Train", "Valid", "Test"):
        (image_dir / name).mkdir()
    for name in ("Train", "Valid"):
        for kind in ("a", "b"):
            draw(image_dir / name / kind, "0.png", "1.png", "2.png", "3.png")
    for name in ("a", "b"):
        (image_dir / name).rename(image_dir.parent / name)
    data = ImageFolder(path=str(image_dir), size=2, workers=0)
    data.setup("fit")
    assert {stage: len(split.targets) for stage, split in data.splits.items()} == {"train": 6, "val": 8, "test": 2}
    assert skip_messages(caplog) == [f"{image_dir}: skipped 1 directory 'Test', 1 directory 'extra'"]


def test_predictions_for_a_directory_skip_system_files(image_dir, caplog):
    draw(image_dir / "b", *LEFT, "5", "6.PPM")
    read = [*ImagePreprocessing((3, 2, 2), 0.0, 1.0).read([image_dir / "b"], 100)]
    names = ["0.png", "1.png", "2.png", "3.png", "4.png", "5", "6.PPM"]
    assert [source for part in read for source in part.sources] == [f"{image_dir}/b/{name}" for name in names]
    assert skip_messages(caplog) == [f"{image_dir / 'b'}: skipped 4 hidden, 1 .heic"]


def test_predictions_of_rows_and_texts_skip_hidden_files(tmp_path, caplog):
    for name in ("1.csv", "._1.csv", "1.txt", "._1.txt", "notes.md"):
        (tmp_path / name).write_text("1,2\n")
    (tmp_path / "more").mkdir()
    [part] = make_passthrough(2).read([tmp_path], 10)
    assert part.sources == [f"{tmp_path}/1.csv"]
    assert skip_messages(caplog) == [f"{tmp_path}: skipped 2 hidden, 1 .txt, 1 subdir, 1 .md"]
    data = IMDB(synthetic=True, dir=str(tmp_path), vocabulary_size=300)
    data.setup("fit")
    [part] = data.preprocessing.read([tmp_path], 10)
    assert part.sources == [f"{tmp_path}/1.txt"]


def test_hidden_files_are_not_read_as_reviews(tmp_path, monkeypatch):
    for part in ("train/neg", "train/pos", "test/neg", "test/pos"):
        directory = tmp_path / imdb.FOLDER / part
        directory.mkdir(parents=True)
        for number in range(2):
            (directory / f"{number}_1.txt").write_text(f"review {part} {number}")
            (directory / f"._{number}_1.txt").write_bytes(b"\0\5\26\7")
    monkeypatch.setattr(imdb, "REVIEWS_PER_DIRECTORY", 2)
    data = IMDB(dir=str(tmp_path), val_size=2)
    data.setup("fit")
    assert [len(split.targets) for split in data.splits.values()] == [2, 2, 4]


@pytest.mark.slow
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
    output = command("list").out
    assert ("mine" in output, "._mine" in output) == (True, False)


def test_an_unreadable_directory_is_an_error(image_dir, monkeypatch):
    draw(image_dir / "b/deep", "9.png")
    scandir = os.scandir

    def deny_access(path="."):
        if str(path).endswith("/b/deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny_access)  # permissions do not keep an administrator out
    with pytest.raises(UserError, match=r"/b/deep: cannot be read: Permission denied$"):
        ImageFolder(path=str(image_dir), size=2, workers=0).setup("fit")
