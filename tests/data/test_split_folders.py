"""Folders of splits: known in any usual spelling; one that may be a split or a class is refused by name."""

import pytest

from trainer.core.errors import UserError
from trainer.data.io.class_folders import classes_in, folders_of


@pytest.fixture
def made(tmp_path):
    """A folder with these files in it, all of them empty."""

    def make(*files):
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        return tmp_path

    return make


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
def test_folders_of_splits_are_known_in_any_case_and_by_the_usual_words(made, names):
    root = made(*(f"{name}/{kind}/1.jpg" for name in names for kind in "ab"))
    folders = folders_of(root)
    assert [*folders.items()] == [("train", root / names[0]), ("val", root / names[1]), ("test", root / names[2])]
    assert classes_in(folders) == ("a", "b")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ["Train/a/1.jpg", "training/a/1.jpg"],
            "data.path: 'ROOT/Train' and 'ROOT/training' are the same split; move one elsewhere",
        ),
        (
            ["red/1.jpg", "blue/1.jpg", "Test/1.jpg"],
            "data.path: 'ROOT/Test' has the name of a split, but no folders of classes in it\n"
            "  if it is a class, list it: 'data.classes=[Test,blue,red]'\n"
            "  if not, move it elsewhere or leave it out: 'data.classes=[blue,red]'",
        ),
        (
            ["train/1.jpg", "test/1.jpg"],
            "data.path: 'ROOT/test' has the name of a split, but no folders of classes in it\n"
            "  if it is a class, list it: 'data.classes=[test,train]'\n  if not, move it elsewhere",
        ),
        (
            ["learn/a/1.jpg", "learn/b/1.jpg", "check/a/1.jpg", "check/b/1.jpg"],
            "data.path: 'ROOT/check' and 'ROOT/learn' have the same folders in them: a, b\n"
            "  if they are splits, name them train, val and test; if they are classes, list them: "
            "'data.classes=[check,learn]'",
        ),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "Eval/a/1.jpg", "Eval/b/1.jpg"],
            "data.path: 'ROOT/Eval' has folders of classes, as 'ROOT/train' has; if it is a split, name it train, val "
            "or test, if not, move it elsewhere",
        ),
        (
            ["train/steam/1.jpg", "train/diesel/1.jpg", "car/1.jpg", "ship/1.jpg"],
            "data.path: 'ROOT/train' may be a split or a class, as 'ROOT/car' has pictures\n"
            "  if it is a class, list them: 'data.classes=[car,ship,train]'; if not, data.path=ROOT/train",
        ),
        (
            ["cat/1.jpg", "Cat/1.jpg", "dog/1.jpg"],
            "data.path: 'Cat' and 'cat' in 'ROOT' are nearly the same name; make them one folder, or list both: "
            "'data.classes=[Cat,cat,dog]'",
        ),
    ],
)
def test_a_folder_that_may_be_a_split_or_a_class_is_refused_by_name(made, files, said):
    root = made(*files)
    with pytest.raises(UserError) as refusal:
        classes_in(folders_of(root))
    assert str(refusal.value).replace(str(root), "ROOT") == said


def test_folders_that_the_user_lists_are_classes_whatever_their_names(made):
    root = made("train/x/1.jpg", "train/y/1.jpg", "test/1.jpg", "ship/1.jpg")
    assert folders_of(root, ["train", "test"]) == {"train": root}
    assert classes_in(folders_of(root, ["train", "test"]), listed=True) == ("ship", "test", "train")
