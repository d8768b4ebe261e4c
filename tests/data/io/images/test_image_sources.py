"""Images that a CSV file lists with their labels and splits."""

import pytest
from PIL import Image

from trainer.core.errors import UserError
from trainer.data.image_folder import ImageFolder
from trainer.data.io.images import image_tables
from trainer.data.io.images.image_sources import CsvSource

NAMES = [f"{number}.png" for number in range(10)]


@pytest.fixture
def labels(tmp_path):
    """Return a function that writes a CSV file next to ten images."""
    for number, name in enumerate(NAMES):
        Image.new("L", (4, 4), number).save(tmp_path / name)

    def write(*lines):
        file = tmp_path / "labels.csv"
        file.write_text("\n".join(lines))
        return file

    return write


def rows(kind="{number}.png,{label}", count=10):
    return [kind.format(number=number, label="ab"[number % 2]) for number in range(count)]


@pytest.mark.parametrize("header", [["file,label"], []])
def test_images_and_labels_are_read_from_a_csv_file(labels, header):
    file = labels(*header, *rows())
    source = CsvSource(file)
    assert source.classes == ("a", "b")
    assert source.find_images() == {
        "train": [(str(file.parent / name), number % 2) for number, name in enumerate(NAMES)]
    }


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("label,file", "{label},{number}.png"),
        ("id,file,width,breed", "{number},{number}.png,4,{label}"),
        ("file,part,kind", "{number}.png,train,{label}"),
        ("id,breed", "{number},{label}"),  # without extension
        ("file,label", "sub\\..\\{number}.png,{label}"),
    ],
)
def test_columns_and_files_are_found(labels, tmp_path, header, kind):
    (tmp_path / "sub").mkdir()
    source = CsvSource(labels(header, *rows(kind)))
    assert source.classes == ("a", "b")
    assert [label for _, label in source.find_images()["train"]] == [0, 1] * 5


def test_a_column_of_splits_is_found(labels):
    lines = [*rows("{number}.png,Train,{label}", 8), *rows("{number}.png,test,{label}")[8:]]
    images = CsvSource(labels("file,part,kind", *lines)).find_images()
    assert {stage: len(files) for stage, files in images.items()} == {"train": 8, "test": 2}


def test_one_of_several_columns_of_labels_has_to_be_set(labels):
    with pytest.raises(UserError, match=r"^data.label_column: .*: which column contains the labels\? .* 'red'.*'blue'"):
        CsvSource(labels("file,red,blue", *rows("{number}.png,{label},1{label}")))


def test_columns_splits_and_the_directory_of_the_images_are_settings(labels, tmp_path):
    (tmp_path / "lists").mkdir()
    file = labels(
        "kind;part;name", *rows("{label};train;{number}.png", 6), *rows("{label};Validation;{number}.png")[6:]
    )
    file = file.rename(tmp_path / "lists/labels.csv")
    settings = {"image_column": "name", "label_column": "kind", "split_column": "part", "delimiter": ";"}
    source = CsvSource(file, tmp_path, **settings)
    assert {stage: len(images) for stage, images in source.find_images().items()} == {"train": 6, "val": 4}
    assert source.find_images()["val"][1] == (str(tmp_path / "7.png"), 1)


def test_a_data_set_is_made_of_a_csv_file(labels):
    file = labels("file,label", *rows())
    data = ImageFolder(path=file.name, dir=str(file.parent), workers=0, batch_size=2)
    data.setup("fit")
    assert data.inferred_settings == {"size": 4, "channels": 1}
    assert {stage: len(split.targets) for stage, split in data.splits.items()} == {"train": 6, "val": 2, "test": 2}
    assert [len(data.files), data.files[1]] == [10, str(file.parent / "1.png")]


def test_rows_of_other_classes_are_left_out_and_numbers_are_sorted_by_value(labels):
    file = labels(*(f"{number}.png,{number % 3 * 5}" for number in range(10)))
    assert CsvSource(file).classes == ("0", "5", "10")
    images = CsvSource(file, classes=["10", "0"]).find_images()["train"]
    assert [index for _, index in images] == [1, 0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        (
            ["file,label", *rows(), "x.png,a", "y.png,b"],
            {},
            r"lists 2 files that are not in '.*'; set data.image_dir .*\n.* line 12, column 'file': 'x.png'\n.*13",
        ),
        (
            ["file,label", *rows(), "./3.png,b"],
            {},
            r"line 12, column 'file': './3.png' is listed twice, also in",
        ),
        (["file,label", *rows(), "3.png,"], {}, r"line 12, column 'label': the label is missing; add it$"),
        (["file,label", *rows("{number}.png,a")], {}, r"^data.label_column: .*every label is 'a'; expected two or"),
        (["file,label", *rows("{number}.png,{number}")], {}, r"every label is different; expected the column of the"),
        (["file,label", *rows(), "3.png,A"], {}, r"'A' in .*line 12, .* and 'a' in .*line 2, .* are nearly the same"),
        (
            ["file,label", *rows()],
            {"label_column": "kind"},
            r"^data.label_column: .* no column 'kind'; there are: file",
        ),
        (["file,label", *rows()], {"label_column": 0}, r"^data.image_column, .*column 'file' is used twice; expected"),
        (["f,l,s", *rows("{number}.png,{label},x")], {"split_column": 2}, r"line 2, column 's': 'x' is not a split; "),
        (["file,label", *rows()], {"classes": ["a", "c"]}, r"^data.classes: no class 'c'; there are: a, b$"),
    ],
)
def test_an_invalid_csv_file_is_one_error(labels, lines, settings, message):
    with pytest.raises(UserError, match=message):
        CsvSource(labels(*lines), **settings).find_images()


def test_a_class_without_training_images_is_an_error(labels):
    splits = ["train", "val"]
    file = labels(*(f"{number}.png,{'ab'[number % 2]},{splits[number % 2]}" for number in range(10)))
    with pytest.raises(UserError, match=r"^data.path: class 'b' has no training images; add some, or leave the class"):
        ImageFolder(path=str(file), split_column=2, workers=0).setup("fit")


def test_another_file_is_an_error(labels):
    file = labels("x").rename(labels("x").with_suffix(".zip"))
    with pytest.raises(UserError, match=r"^data.path: '.*.zip' is a file; expected a directory of images, or a CSV"):
        ImageFolder(path=str(file))


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_dir", "x"), ("image_column", 0), ("label_column", "y"), ("split_column", "s"), ("delimiter", ";")],
)
def test_settings_of_tables_are_errors_for_a_directory(tmp_path, name, value):
    with pytest.raises(UserError) as error:
        ImageFolder(path=str(tmp_path), **{name: value})
    assert str(error.value) == f"data.{name}: '{tmp_path}' is a directory, not a table of labels; leave it out"


@pytest.mark.parametrize("header", [["file,label"], []])
def test_a_table_is_read_once(labels, monkeypatch, header):
    calls = []
    read = image_tables.read_table
    monkeypatch.setattr(image_tables, "read_table", lambda *arguments: calls.append(arguments) or read(*arguments))
    source = CsvSource(labels(*header, *rows()))
    assert (len(source.file), len(calls)) == (10, 1)
    assert source.file.locate(0) == f"{source.file.path}, line {1 + len(header)}"


def test_a_table_of_column_names_alone_is_an_error(labels):
    file = labels("file,label")
    with pytest.raises(UserError) as error:
        CsvSource(file)
    assert str(error.value) == f"{file}: no rows after the header"
