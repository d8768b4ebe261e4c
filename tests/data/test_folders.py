"""Folders of pictures: which split and class each belongs to; what is not right is told by its path."""

import pytest

from trainer.data.folders import classes_in, folders_of, pictures_of
from trainer.errors import UserError


@pytest.fixture
def made(tmp_path):
    """A folder with these files in it, all of them empty."""

    def make(*files):
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        return tmp_path

    return make


def test_without_folders_of_splits_all_is_to_train_on(made):
    root = made("dog/1.jpg", "cat/1.jpg")
    assert folders_of(root) == {"train": root}
    assert classes_in(folders_of(root)) == ("cat", "dog")


@pytest.mark.parametrize("name", ["val", "valid"])
def test_folders_of_splits_are_taken_as_far_as_they_have_classes(made, name):
    root = made("train/a/1.jpg", "train/b/1.jpg", f"{name}/a/1.jpg", "test/1.jpg", "raw/x/1.jpg")
    assert folders_of(root) == {"train": root / "train", "val": root / name}
    assert classes_in(folders_of(root)) == ("a", "b")


def test_pictures_are_found_by_class_in_folders_below_too_without_hidden_files_and_others(made):
    root = made("a/2.PNG", "a/1.jpg", "a/more/3.jpeg", "b/1.jpg", "b/._1.jpg", "b/notes.txt", ".cache/x/1.jpg")
    found = pictures_of(root, classes_in(folders_of(root)))
    assert [(file.removeprefix(f"{root}/"), number) for file, number in found] == [
        ("a/1.jpg", 0),
        ("a/2.PNG", 0),
        ("a/more/3.jpeg", 0),
        ("b/1.jpg", 1),
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["1.jpg"], r"^data.path: no folders of classes in '.*'\n  .*/cat/1.jpg .*/train/cat/1.jpg"),
        (["a/1.jpg"], r"^data.path: '.*' has one folder alone, 'a', and there must be one for each of two classes"),
        (["val/a/1.jpg", "test/a/1.jpg"], "^data.path: '.*' has val, test with folders of classes, but no such train$"),
        (
            ["train/cat/1.jpg", "train/dog/1.jpg", "val/cats/1.jpg"],
            "^data.path: '.*/val/cats' is a class that '.*/train' has not; did you mean 'cat'[?]$",
        ),
        (["a/1.jpg", "b/1.txt"], r"^data.path: no picture in '.*/b' \(a file that ends in .png, .jpg, .*data.classes$"),
    ],
)
def test_what_is_not_right_is_told_by_its_path(made, files, said):
    root = made(*files)
    with pytest.raises(UserError, match=said):
        pictures_of(root, classes_in(folders_of(root)))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^data.path: no folder '.*/none'\n  data.dir .*TRAINER_DATA_DIR"):
        folders_of(tmp_path / "none")
