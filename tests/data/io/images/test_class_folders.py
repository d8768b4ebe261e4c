"""Splits, classes and images of image directories, and the errors for invalid ones."""

import os
from collections import Counter

import pytest
from PIL import Image

from trainer.core.errors import UserError
from trainer.data.io.images.class_folders import find_classes, find_images, find_split_directories


def test_without_split_directories_all_images_are_for_training(make_files):
    root = make_files("dog/1.jpg", "cat/1.jpg")
    assert find_split_directories(root) == {"train": root}
    assert find_classes(find_split_directories(root)) == ("cat", "dog")


@pytest.mark.parametrize("name", ["val", "valid"])
def test_split_directories_without_classes_are_ignored(make_files, name):
    root = make_files("train/a/1.jpg", "train/b/1.jpg", f"{name}/a/1.jpg", "test/1.jpg", "raw/x/1.jpg")
    assert find_split_directories(root) == {"train": root / "train", "val": root / name}
    assert find_classes(find_split_directories(root)) == ("a", "b")


def test_images_are_found_by_class_in_subdirectories_without_other_files(make_files):
    root = make_files("a/2.PNG", "a/1.jpg", "a/more/3.jpeg", "b/1.jpg", "b/._1.jpg", "b/notes.txt", ".cache/x/1.jpg")
    images = find_images(root, find_classes(find_split_directories(root)))
    assert [(file.removeprefix(f"{root}/"), number) for file, number in images] == [
        ("a/1.jpg", 0),
        ("a/2.PNG", 0),
        ("a/more/3.jpeg", 0),
        ("b/1.jpg", 1),
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["1.jpg"], r"^data.path: no class directories in '.*'\n  .*/cat/1.jpg .*/train/cat/1.jpg"),
        (["a/1.jpg"], r"^data.path: '.*' has only one directory, 'a'; expected one for each of two or more classes"),
        (["data/a/1.jpg", "data/b/1.jpg"], "; if the classes are in that directory: data.path=.*/data$"),
        (["val/a/1.jpg", "test/a/1.jpg"], "^data.path: '.*' has val, test with class directories, but no train$"),
        (
            ["train/cat/1.jpg", "train/dog/1.jpg", "val/cats/1.jpg"],
            "^data.path: '.*/val/cats' is a class that '.*/train' does not have; did you mean 'cat'[?]$",
        ),
        (["a/1.jpg", "b/1.txt"], r"^data.path: no images in '.*/b' \(files ending in .png, .jpg, .*data.classes$"),
    ],
)
def test_errors_name_the_path(make_files, files, message):
    root = make_files(*files)
    with pytest.raises(UserError, match=message):
        find_images(root, find_classes(find_split_directories(root)))


def test_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(
        UserError, match=r"^data.path: no directory '.*/none'\n  data.path .*data.dir .*TRAINER_DATA_DIR"
    ):
        find_split_directories(tmp_path / "none")


def paths(images, root):
    return [(file.removeprefix(f"{root}/"), number) for file, number in images]


def test_system_files_are_neither_images_nor_classes(make_files):
    system_files = [
        ".ipynb_checkpoints/1-checkpoint.jpg",
        "._1.jpg",
        "Thumbs.db",
        ".DS_Store",
        "__MACOSX/a/1.jpg",
        "desktop.ini",
    ]
    root = make_files(
        "a/1.jpg",
        "b/1.jpg",
        "b/more/2.jpg",
        *system_files,
        *(f"{name}/{file}" for name in ("a", "b/more") for file in system_files),
    )
    skipped = Counter()
    images = find_images(root, find_classes(find_split_directories(root)), skipped)
    assert paths(images, root) == [("a/1.jpg", 0), ("b/1.jpg", 1), ("b/more/2.jpg", 1)]
    assert skipped == {"hidden": 18}


def test_links_are_followed_but_no_file_is_read_twice_or_as_another_class(make_files, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere")
    (outside / "deep").mkdir()
    for name in ("3.jpg", "deep/4.jpg"):
        (outside / name).touch()
    (outside / "deep/up").symlink_to("..")
    root = make_files(
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
        "train/b/deep/linked": str(outside),
        "train/b/one": str(outside / "deep/4.jpg"),
        "val/a/7.jpg": "../../train/a/1.jpg",
    }.items():
        (root / link).symlink_to(target)
    directories = find_split_directories(root)
    skipped = Counter()
    images = {
        stage: find_images(directory, find_classes(directories), skipped, directories.values())
        for stage, directory in directories.items()
    }
    assert paths(images["train"], root / "train") == [
        ("a/1.jpg", 0),
        ("a/deep/2.jpg", 0),
        ("b/1.jpg", 1),
        ("b/deep/5.jpg", 1),
        ("b/deep/linked/3.jpg", 1),
        ("b/deep/linked/deep/4.jpg", 1),
    ]
    assert paths(images["val"], root / "val") == [("a/1.jpg", 0), ("b/1.jpg", 1)]
    assert skipped == {"linked again": 8, "without an extension": 1}


@pytest.mark.parametrize(("link", "target"), [("train/c", "a"), ("val", "train")])
def test_a_directory_belongs_to_one_class_and_split_only(make_files, link, target):
    root = make_files("train/a/1.jpg", "train/b/1.jpg")
    (root / link).symlink_to(target)
    with pytest.raises(
        UserError, match=r"^data.path: '.*/train/a' and '.*/(train/c|val/a)' are the same directory; remove one$"
    ):
        find_classes(find_split_directories(root))


def test_other_files_are_counted_and_images_without_an_extension_are_detected_by_content(make_files):
    root = make_files("a/1.heic", "a/2.HEIC", "a/notes.txt", "a/raw", "b/1.jpg", "README.md", "stray.png")
    image = Image.new("RGB", (2, 2))
    for name, kind in (("1", "PNG"), ("2", "JPEG"), ("IMG.2024.01.31", "WEBP"), ("3.PPM", "PPM"), ("4.jfif", "JPEG")):
        image.save(root / "a" / name, kind)
    image.save(root / "a/1.jpg.bak", "JPEG")  # a copy
    skipped = Counter()
    images = find_images(root, ("a", "b"), skipped)
    assert paths(images, root) == [(f"a/{name}", 0) for name in ("1", "2", "3.PPM", "4.jfif", "IMG.2024.01.31")] + [
        ("b/1.jpg", 1)
    ]
    assert skipped == {
        ".heic": 2,
        ".txt": 1,
        ".bak": 1,
        ".md": 1,
        "without an extension": 1,
        "outside of the classes": 1,
    }


def test_a_class_without_images_is_an_error_with_the_skipped_files(make_files):
    with pytest.raises(
        UserError, match=r"^data.path: no images in '.*/b' \(files ending in .*; skipped: 2 .heic, 1 hidden\)"
    ):
        find_images(make_files("a/1.jpg", "b/1.heic", "b/2.heic", "b/.x.jpg"), ("a", "b"))


def test_broken_links_and_names_that_are_not_utf8_are_errors(make_files):
    root = make_files("a/1.jpg", "b/1.jpg")
    (root / "b/2.jpg").symlink_to("nothing.jpg")
    with pytest.raises(UserError, match=r"/b/2.jpg: a link to a file that does not exist; remove it$"):
        find_images(root, ("a", "b"))
    os.mkdir(os.fsencode(root) + b"/gr\xfcn")
    with pytest.raises(UserError, match=r"the name 'gr\\udcfcn' in it is not in UTF-8; rename it$"):
        find_split_directories(root)
