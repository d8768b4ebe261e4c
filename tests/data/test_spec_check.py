"""Validation of data against their spec, random splits and checksums."""

from dataclasses import replace

import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.line import Line
from trainer.data.loading.split import Split, random_split
from trainer.data.xor import XOR


def make_invalid(inputs, targets, **changes):
    """Return a data set whose test split does not match its spec."""

    class Broken(XOR):
        spec = property(lambda self: replace(XOR.spec.fget(self), **changes))

        def load(self):
            return {"train": super().load()["train"], "test": Split(inputs, targets)}

    return Broken(batch_size=4)


def make_line(**splits):
    """Return a line whose splits have these inputs and targets."""

    class Given(Line):
        def load(self):
            return {name: Split(*split) for name, split in splits.items()}

    return Given()


def make_texts(tokens):
    """Return texts of at most 3 tokens out of 5, all in the test split."""

    class Texts(XOR):
        preprocessing = None
        spec = DataSpec("texts", "tokens", (3,), "classification", 1, class_names=("no", "yes"), vocabulary_size=5)

        def load(self):
            return {"test": Split(tokens, torch.zeros(len(tokens), dtype=torch.int64))}

    return Texts(batch_size=4)


def make_points(number, *shape):
    """Return inputs of a line and targets of this shape (one value each by default)."""
    return torch.zeros(number, 1), torch.zeros(number, *(shape or (1,)))


ZEROS, BINARY = torch.zeros(3, 2), torch.tensor([0, 1, 0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (make_invalid(torch.zeros(3, 5), BINARY), r"expected inputs of shape \(2,\), found \(5,\)"),
        (make_invalid(torch.zeros(3, 2, 1), BINARY), r"expected inputs of shape \(2,\), found \(2, 1\)"),
        (make_invalid(ZEROS, BINARY * 2), "expected classes 0 to 1, found 0 to 2"),
        (make_invalid(ZEROS, BINARY - 1), "expected classes 0 to 1, found -1 to 0"),
        (make_invalid(ZEROS[:0], BINARY[:0]), "it is empty; use fewer examples for the other splits"),
        (make_invalid(ZEROS, BINARY[:2]), "3 inputs, but 2 targets"),
        (make_invalid(ZEROS[:1], BINARY), "1 inputs, but 3 targets"),
    ],
)
def test_a_mismatch_is_an_error_with_the_split_and_both_values(data, message):
    with pytest.raises(UserError, match=rf"^data 'xor', test split: {message}$"):
        data.setup("fit")


@pytest.mark.parametrize(
    ("targets", "description"),
    [
        (BINARY.float(), r"torch\.float32 \(3,\)"),
        (BINARY.double() / 2, r"torch\.float64 \(3,\)"),
        (BINARY[:, None], r"torch\.int64 \(3, 1\)"),
        (BINARY.int(), r"torch\.int32 \(3,\)"),
        (torch.eye(3, 2, dtype=torch.long), r"torch\.int64 \(3, 2\)"),  # one-hot
    ],
)
def test_invalid_class_targets_are_an_error(targets, description):
    message = rf"expected class indices of shape \(examples,\) and type int64, found {description}"
    with pytest.raises(UserError, match=rf"^data 'xor', test split: {message}$"):
        make_invalid(ZEROS, targets).setup("fit")


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[1, 2, 3, 4]], r"expected 1 to 3 tokens per text of type int64, found torch\.int64 \(4,\)"),
        ([[1.0, 2.0]], r"expected 1 to 3 tokens per text of type int64, found torch\.float32 \(2,\)"),
        ([[[1, 2]]], r"expected 1 to 3 tokens per text of type int64, found torch\.int64 \(1, 2\)"),
        ([[]], r"expected 1 to 3 tokens per text of type int64, found torch\.float32 \(0,\)"),
        ([[1, 5]], "expected tokens 0 to 4, found 1 to 5"),
        ([[1, -1]], "expected tokens 0 to 4, found -1 to 1"),
        ([[0, 1]], r"padding \(token 0\) is allowed only after the last token of a text"),
        ([[1, 0, 2]], r"padding \(token 0\) is allowed only after the last token of a text"),
    ],
)
def test_invalid_tokens_are_an_error(tokens, message):
    with pytest.raises(UserError, match=rf"^data 'texts', test split: {message}$"):
        make_texts(torch.tensor(tokens)).setup("fit")


@pytest.mark.parametrize("tokens", [[[4]], [[1, 2, 3]], [[1, 2, 0]]])
def test_texts_may_be_shorter_than_the_spec(tokens):
    make_texts(torch.tensor(tokens)).setup("fit")


@pytest.mark.parametrize(("shape", "description"), [((), r"\(\)"), ((2,), r"\(2,\)"), ((1, 1), r"\(1, 1\)")])
def test_values_of_another_shape_are_an_error(shape, description):
    data = make_line(train=(torch.zeros(3, 1), torch.zeros(3, *shape)))
    with pytest.raises(
        UserError,
        match=f"^data 'line', train split: expected 1 target value\\(s\\) per example, found shape {description}$",
    ):
        data.setup("fit")


@pytest.mark.parametrize("name", ["val", "test"])
def test_one_example_is_not_enough_to_evaluate_a_regression(name):
    data = make_line(
        **{"train": make_points(3), "val": make_points(2), "test": make_points(2)} | {name: make_points(1)}
    )
    message = f"^data 'line', {name} split: it has one example, but r2 needs two; use more examples for it$"
    with pytest.raises(UserError, match=message):
        data.setup("fit")


def test_one_example_is_enough_for_training_and_for_classes():
    make_line(train=make_points(1), val=make_points(2), test=make_points(2)).setup("fit")
    make_invalid(ZEROS[:1], BINARY[:1]).setup("fit")


def test_invalid_data_are_not_stored():
    data = make_line(train=make_points(3), val=make_points(1))
    for _ in range(2):
        with pytest.raises(UserError, match="it has one example"):
            data.setup("fit")


def test_a_random_split_contains_each_example_once_with_its_target():
    parts = random_split(Split(torch.arange(9), torch.arange(9) + 10), 2, 3, seed=1)
    assert [len(part.targets) for part in parts] == [2, 3, 4]
    assert sorted(torch.cat([part.inputs for part in parts]).tolist()) == list(range(9))
    assert all(torch.equal(part.inputs + 10, part.targets) for part in parts)


def test_a_random_split_may_leave_one_example_and_depends_on_its_seed():
    first, repeated, other = (
        random_split(Split(torch.arange(9), torch.arange(9)), 3, 5, seed=seed) for seed in (1, 1, -1)
    )
    assert len(first[2].targets) == 1
    assert [part.targets.tolist() for part in first] == [part.targets.tolist() for part in repeated]
    assert [part.targets.tolist() for part in first] != [part.targets.tolist() for part in other]


@pytest.mark.parametrize(
    ("sizes", "sizes_text"), [((9,), "9"), ((10,), "10"), ((4, 5), "4, 5"), ((0, 3), "0, 3"), ((3, -1), "3, -1")]
)
def test_invalid_split_sizes_are_an_error(sizes, sizes_text):
    message = f"9 examples cannot be split into parts of {sizes_text} and a rest for training; change the"
    with pytest.raises(UserError, match=f"^data: {message} sizes or fractions of the splits$"):
        random_split(Split(torch.arange(9), torch.arange(9)), *sizes, seed=0)


def test_the_checksum_depends_on_numbers_types_shapes_and_split():
    examples = Split(ZEROS, BINARY)
    split_lists = [{"train": examples}, {"val": examples}, {"train": Split(ZEROS.double(), BINARY)}]
    split_lists += [{"train": Split(ZEROS.view(2, 3), BINARY)}, {"train": Split(ZEROS, 1 - BINARY)}]
    checksums = []
    for splits in split_lists:
        data = XOR(batch_size=4)
        data.splits = splits
        checksums.append(data.checksum())
    assert len(set(checksums)) == 5
