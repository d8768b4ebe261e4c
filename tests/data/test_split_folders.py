"""Detection of split directories by their names, and errors for ambiguous ones."""

import pytest

from trainer.core.errors import UserError
from trainer.data.io.images.class_folders import find_classes, find_split_directories


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Val", "Test"),
        ("TRAINING", "Validation", "testing"),
        ("Training_set", "dev-set", "test set"),
        ("train2017", "val2017", "test2017"),
        ("train_images", "ValidData", "Tests"),
    ],
)
def test_split_directories_are_detected_in_any_case_and_with_usual_names(make_files, names):
    root = make_files(*(f"{name}/{kind}/1.jpg" for name in names for kind in "ab"))
    directories = find_split_directories(root)
    assert [*directories.items()] == [("train", root / names[0]), ("val", root / names[1]), ("test", root / names[2])]
    assert find_classes(directories) == ("a", "b")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ["Train/a/1.jpg", "training/a/1.jpg"],
            "data.path: 'ROOT/Train' and 'ROOT/training' are the same split; move one away",
        ),
        (
            ["red/1.jpg", "blue/1.jpg", "Test/1.jpg"],
            "data.path: 'ROOT/Test' has the name of a split, but contains no class directories\n"
            "  if it is a class, list it: 'data.classes=[Test,blue,red]'\n"
            "  if not, move it away or leave it out: 'data.classes=[blue,red]'",
        ),
        (
            ["train/1.jpg", "test/1.jpg"],
            "data.path: 'ROOT/test' has the name of a split, but contains no class directories\n"
            "  if it is a class, list it: 'data.classes=[test,train]'\n  if not, move it away",
        ),
        (
            ["learn/a/1.jpg", "learn/b/1.jpg", "check/a/1.jpg", "check/b/1.jpg"],
            "data.path: 'ROOT/check' and 'ROOT/learn' contain the same directories: a, b\n"
            "  if they are splits, name them train, val and test; if they are classes, list them: "
            "'data.classes=[check,learn]'",
        ),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "Eval/a/1.jpg", "Eval/b/1.jpg"],
            "data.path: 'ROOT/Eval' has class directories like 'ROOT/train'; if it is a split, name it train, val "
            "or test; if not, move it away",
        ),
        (
            ["train/steam/1.jpg", "train/diesel/1.jpg", "car/1.jpg", "ship/1.jpg"],
            "data.path: 'ROOT/train' may be a split or a class, as 'ROOT/car' contains images\n"
            "  if it is a class, list all: 'data.classes=[car,ship,train]'; if not, data.path=ROOT/train",
        ),
        (
            ["cat/1.jpg", "Cat/1.jpg", "dog/1.jpg"],
            "data.path: 'Cat' and 'cat' in 'ROOT' have nearly the same name; merge them, or list both: "
            "'data.classes=[Cat,cat,dog]'",
        ),
    ],
)
def test_an_ambiguous_directory_is_an_error(make_files, files, message):
    root = make_files(*files)
    with pytest.raises(UserError) as error:
        find_classes(find_split_directories(root))
    assert str(error.value).replace(str(root), "ROOT") == message


def test_listed_directories_are_classes_with_any_name(make_files):
    root = make_files("train/x/1.jpg", "train/y/1.jpg", "test/1.jpg", "ship/1.jpg")
    assert find_split_directories(root, ["train", "test"]) == {"train": root}
    assert find_classes(find_split_directories(root, ["train", "test"]), listed=True) == ("ship", "test", "train")
