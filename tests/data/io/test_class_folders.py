"""Folders of pictures: which split and class each belongs to; what is not right is told by its path."""

import os
from collections import Counter

import pytest
from PIL import Image

from trainer.core.errors import UserError
from trainer.data.io.class_folders import classes_in, folders_of, pictures_of


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


def paths(found, root):
    return [(file.removeprefix(f"{root}/"), number) for file, number in found]


def test_what_systems_leave_behind_is_no_picture_and_no_class(made):
    left = [
        ".ipynb_checkpoints/1-checkpoint.jpg",
        "._1.jpg",
        "Thumbs.db",
        ".DS_Store",
        "__MACOSX/a/1.jpg",
        "desktop.ini",
    ]
    root = made(
        "a/1.jpg", "b/1.jpg", "b/more/2.jpg", *left, *(f"{name}/{file}" for name in ("a", "b/more") for file in left)
    )
    skipped = Counter()
    found = pictures_of(root, classes_in(folders_of(root)), skipped)
    assert paths(found, root) == [("a/1.jpg", 0), ("b/1.jpg", 1), ("b/more/2.jpg", 1)]
    assert skipped == {"hidden": 18}


def test_links_are_followed_but_nothing_is_read_twice_or_as_another_class(made, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "deep").mkdir()
    for name in ("3.jpg", "deep/4.jpg"):
        (elsewhere / name).touch()
    (elsewhere / "deep/up").symlink_to("..")
    root = made(
        "train/a/1.jpg", "train/a/deep/2.jpg", "train/b/1.jpg", "train/b/deep/5.jpg", "val/a/1.jpg", "val/b/1.jpg"
    )
    for link, target in {
        "all": ".",
        "train/loop": "..",
        "train/a/again": "deep",
        "train/a/deep/up": "..",
        "train/a/other": "../b/deep",
        "train/a/top": "../../..",
        "train/b/2.jpg": "1.jpg",
        "train/b/6.jpg": "../a/1.jpg",
        "train/b/deep/linked": str(elsewhere),
        "train/b/one": str(elsewhere / "deep/4.jpg"),
        "val/a/7.jpg": "../../train/a/1.jpg",
    }.items():
        (root / link).symlink_to(target)
    folders = folders_of(root)
    skipped = Counter()
    found = {
        stage: pictures_of(folder, classes_in(folders), skipped, folders.values()) for stage, folder in folders.items()
    }
    assert paths(found["train"], root / "train") == [
        ("a/1.jpg", 0),
        ("a/deep/2.jpg", 0),
        ("b/1.jpg", 1),
        ("b/deep/5.jpg", 1),
        ("b/deep/linked/3.jpg", 1),
        ("b/deep/linked/deep/4.jpg", 1),
    ]
    assert paths(found["val"], root / "val") == [("a/1.jpg", 0), ("b/1.jpg", 1)]
    assert skipped == {"linked again": 8, "without an ending": 1}


@pytest.mark.parametrize(("link", "target"), [("train/c", "a"), ("val", "train")])
def test_a_folder_is_of_one_class_and_split_alone(made, link, target):
    root = made("train/a/1.jpg", "train/b/1.jpg")
    (root / link).symlink_to(target)
    with pytest.raises(
        UserError, match=r"^data.path: '.*/train/a' and '.*/(train/c|val/a)' are the same folder; remove one$"
    ):
        classes_in(folders_of(root))


def test_files_of_other_kinds_are_counted_and_pictures_without_an_ending_are_known_by_their_content(made):
    root = made("a/1.heic", "a/2.HEIC", "a/notes.txt", "a/raw", "b/1.jpg", "README.md", "stray.png")
    picture = Image.new("RGB", (2, 2))
    for name, kind in (("1", "PNG"), ("2", "JPEG"), ("IMG.2024.01.31", "WEBP"), ("3.PPM", "PPM"), ("4.jfif", "JPEG")):
        picture.save(root / "a" / name, kind)
    picture.save(root / "a/1.jpg.bak", "JPEG")  # a copy
    skipped = Counter()
    found = pictures_of(root, ("a", "b"), skipped)
    assert paths(found, root) == [(f"a/{name}", 0) for name in ("1", "2", "3.PPM", "4.jfif", "IMG.2024.01.31")] + [
        ("b/1.jpg", 1)
    ]
    assert skipped == {
        ".heic": 2,
        ".txt": 1,
        ".bak": 1,
        ".md": 1,
        "without an ending": 1,
        "outside of the classes": 1,
    }


def test_a_class_without_a_readable_picture_is_refused_with_what_was_skipped(made):
    with pytest.raises(
        UserError, match=r"^data.path: no picture in '.*/b' \(a file that ends in .*; skipped: 2 .heic, 1 hidden\)"
    ):
        pictures_of(made("a/1.jpg", "b/1.heic", "b/2.heic", "b/.x.jpg"), ("a", "b"))


def test_a_link_to_no_file_and_a_name_that_is_no_text_are_refused_by_name(made):
    root = made("a/1.jpg", "b/1.jpg")
    (root / "b/2.jpg").symlink_to("nothing.jpg")
    with pytest.raises(UserError, match=r"/b/2.jpg: a link to a file that does not exist; remove it$"):
        pictures_of(root, ("a", "b"))
    os.mkdir(os.fsencode(root) + b"/gr\xfcn")
    with pytest.raises(UserError, match=r"the name 'gr\\udcfcn' in it is not in UTF-8; rename it$"):
        folders_of(root)
