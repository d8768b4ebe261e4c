"""Promises and cuts: data that are not what their spec said are refused, with the split and both sides."""

from dataclasses import replace

import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.line import Line
from trainer.data.loading.split import Split, cut
from trainer.data.xor import XOR


def breaking(inputs, targets, **promise):
    """A data set whose test split is not what it promised."""

    class Broken(XOR):
        spec = property(lambda self: replace(XOR.spec.fget(self), **promise))

        def load(self):
            return {"train": super().load()["train"], "test": Split(inputs, targets)}

    return Broken(batch_size=4)


def line_of(**splits):
    """A line whose splits have these inputs and targets."""

    class Given(Line):
        def load(self):
            return {name: Split(*split) for name, split in splits.items()}

    return Given()


def texts_of(tokens):
    """Texts of at most 3 tokens out of 5, all in the test split."""

    class Texts(XOR):
        preprocessing = None
        spec = DataSpec("texts", "tokens", (3,), "classes", 1, class_names=("no", "yes"), vocabulary_size=5)

        def load(self):
            return {"test": Split(tokens, torch.zeros(len(tokens), dtype=torch.int64))}

    return Texts(batch_size=4)


def points(number, *shape):
    """Inputs of a line, and targets of this shape (one value each if none is given)."""
    return torch.zeros(number, 1), torch.zeros(number, *(shape or (1,)))


ZEROS, BINARY = torch.zeros(3, 2), torch.tensor([0, 1, 0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (breaking(torch.zeros(3, 5), BINARY), r"promised inputs of shape \(2,\), found \(5,\)"),
        (breaking(torch.zeros(3, 2, 1), BINARY), r"promised inputs of shape \(2,\), found \(2, 1\)"),
        (breaking(ZEROS, BINARY * 2), "promised classes 0 to 1, found 0 to 2"),
        (breaking(ZEROS, BINARY - 1), "promised classes 0 to 1, found -1 to 0"),
        (breaking(ZEROS[:0], BINARY[:0]), "it is empty; keep fewer examples for the other splits"),
        (breaking(ZEROS, BINARY[:2]), "3 inputs, but 2 targets"),
        (breaking(ZEROS[:1], BINARY), "1 inputs, but 3 targets"),
    ],
)
def test_a_broken_promise_is_refused_with_the_split_and_both_sides(data, message):
    with pytest.raises(UserError, match=rf"^data 'xor', test split: {message}$"):
        data.setup("fit")


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        (BINARY.float(), r"torch\.float32 \(3,\)"),
        (BINARY.double() / 2, r"torch\.float64 \(3,\)"),
        (BINARY[:, None], r"torch\.int64 \(3, 1\)"),
        (BINARY.int(), r"torch\.int32 \(3,\)"),
        (torch.eye(3, 2, dtype=torch.long), r"torch\.int64 \(3, 2\)"),  # one-hot
    ],
)
def test_classes_that_are_no_whole_numbers_in_one_row_are_refused(targets, found):
    message = f"promised classes, int64 numbers in one row; found {found}"
    with pytest.raises(UserError, match=rf"^data 'xor', test split: {message}$"):
        breaking(ZEROS, targets).setup("fit")


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[1, 2, 3, 4]], r"promised 1 to 3 tokens a text, int64 numbers; found torch\.int64 \(4,\)"),
        ([[1.0, 2.0]], r"promised 1 to 3 tokens a text, int64 numbers; found torch\.float32 \(2,\)"),
        ([[[1, 2]]], r"promised 1 to 3 tokens a text, int64 numbers; found torch\.int64 \(1, 2\)"),
        ([[]], r"promised 1 to 3 tokens a text, int64 numbers; found torch\.float32 \(0,\)"),
        ([[1, 5]], "promised tokens 0 to 4, found 1 to 5"),
        ([[1, -1]], "promised tokens 0 to 4, found -1 to 1"),
        ([[0, 1]], r"padding \(token 0\) may stand only behind a text's last token"),
        ([[1, 0, 2]], r"padding \(token 0\) may stand only behind a text's last token"),
    ],
)
def test_tokens_that_a_network_would_stumble_over_are_refused(tokens, message):
    with pytest.raises(UserError, match=rf"^data 'texts', test split: {message}$"):
        texts_of(torch.tensor(tokens)).setup("fit")


@pytest.mark.parametrize("tokens", [[[4]], [[1, 2, 3]], [[1, 2, 0]]])
def test_texts_may_be_shorter_than_promised(tokens):
    texts_of(torch.tensor(tokens)).setup("fit")


@pytest.mark.parametrize(("shape", "found"), [((), r"\(\)"), ((2,), r"\(2,\)"), ((1, 1), r"\(1, 1\)")])
def test_values_of_another_shape_are_refused(shape, found):
    data = line_of(train=(torch.zeros(3, 1), torch.zeros(3, *shape)))
    with pytest.raises(
        UserError, match=f"^data 'line', train split: promised 1 values an example, found shape {found}$"
    ):
        data.setup("fit")


@pytest.mark.parametrize("name", ["val", "test"])
def test_one_example_is_too_few_to_judge_values_by(name):
    data = line_of(**{"train": points(3), "val": points(2), "test": points(2)} | {name: points(1)})
    message = f"^data 'line', {name} split: it has one example, and r2 needs two; keep more for it$"
    with pytest.raises(UserError, match=message):
        data.setup("fit")


def test_one_example_is_enough_to_train_on_and_to_judge_classes_by():
    line_of(train=points(1), val=points(2), test=points(2)).setup("fit")
    breaking(ZEROS[:1], BINARY[:1]).setup("fit")


def test_data_that_were_refused_are_not_kept():
    data = line_of(train=points(3), val=points(1))
    for _ in range(2):
        with pytest.raises(UserError, match="it has one example"):
            data.setup("fit")


def test_the_parts_of_a_cut_hold_each_example_once_with_its_target():
    parts = cut(Split(torch.arange(9), torch.arange(9) + 10), 2, 3, seed=1)
    assert [len(part.targets) for part in parts] == [2, 3, 4]
    assert sorted(torch.cat([part.inputs for part in parts]).tolist()) == list(range(9))
    assert all(torch.equal(part.inputs + 10, part.targets) for part in parts)


def test_a_cut_may_leave_one_example_and_is_its_seeds_alone():
    first, again, other = (cut(Split(torch.arange(9), torch.arange(9)), 3, 5, seed=seed) for seed in (1, 1, -1))
    assert len(first[2].targets) == 1
    assert [part.targets.tolist() for part in first] == [part.targets.tolist() for part in again]
    assert [part.targets.tolist() for part in first] != [part.targets.tolist() for part in other]


@pytest.mark.parametrize(
    ("sizes", "listed"), [((9,), "9"), ((10,), "10"), ((4, 5), "4, 5"), ((0, 3), "0, 3"), ((3, -1), "3, -1")]
)
def test_sizes_that_cannot_be_cut_are_refused(sizes, listed):
    message = f"9 examples cannot be cut into parts of {listed} and a rest to train on; change the sizes or shares of"
    with pytest.raises(UserError, match=f"^data: {message} the splits$"):
        cut(Split(torch.arange(9), torch.arange(9)), *sizes, seed=0)


def test_the_checksum_tells_data_apart_by_their_numbers_types_and_split():
    examples = Split(ZEROS, BINARY)
    some = [{"train": examples}, {"val": examples}, {"train": Split(ZEROS.double(), BINARY)}]
    some += [{"train": Split(ZEROS.view(2, 3), BINARY)}, {"train": Split(ZEROS, 1 - BINARY)}]
    sums = []
    for splits in some:
        data = XOR(batch_size=4)
        data.splits = splits
        sums.append(data.checksum())
    assert len(set(sums)) == 5
