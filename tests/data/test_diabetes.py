"""Diabetes: what is promised of the file and, where it is, what it holds."""

import gzip

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.diabetes import Diabetes


def test_the_promise_is_made_without_the_file(tmp_path):
    spec = Diabetes(dir=str(tmp_path / "nowhere")).spec
    assert (spec.name, spec.kind, spec.shape, spec.target, spec.output_size) == (
        "diabetes",
        "vector",
        (8,),
        "classes",
        1,
    )
    assert spec.class_names == ("tested positive", "tested negative")


def test_another_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "diabetes").mkdir()
    (tmp_path / "diabetes/diabetes.csv.gz").write_bytes(gzip.compress(b"1,2,3,4,5,6,7,8,0\n"))
    with pytest.raises(UserError) as refusal:
        Diabetes(dir=str(tmp_path)).setup("fit")
    assert str(refusal.value).endswith(
        "expected b7f372850118dfaf306e2f334e6a718f.\nMove it elsewhere and put the published file there.\nTo read the "
        "present file on purpose: data=table data.path=diabetes/diabetes.csv.gz data.features=8 data.header=false"
    )


def test_a_missing_file_that_may_not_be_fetched_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"diabetes\.csv\.gz is missing, and data\.download=false forbade fetching it"):
        Diabetes(dir=str(tmp_path), download=False).setup("fit")


@pytest.mark.real_data
def test_the_real_file_holds_759_women_with_the_class_turned_round(diabetes_dir):
    data = Diabetes(dir=str(diabetes_dir), download=False)
    data.setup("fit")
    assert [len(data.splits[stage].targets) for stage in ("train", "val", "test")] == [455, 152, 152]
    counts = sum(torch.bincount(split.targets, minlength=2) for split in data.splits.values())
    assert counts.tolist() == [263, 496]  # of the original's 268 positive and 500 negative
    inputs = torch.cat([split.inputs for split in data.splits.values()])
    assert (inputs.abs().max().item(), inputs.isnan().any()) == (1, False)
    targets = torch.cat([split.targets for split in data.splits.values()])
    glucose = inputs[:, 1]  # is higher in those who tested positive
    assert glucose[targets == 0].mean() > glucose[targets == 1].mean() + 0.2
