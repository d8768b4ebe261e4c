"""Spec, errors and, if available, the real file of the diabetes data set."""

import gzip

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.diabetes import Diabetes


def test_the_spec_needs_no_file(tmp_path):
    spec = Diabetes(dir=str(tmp_path / "nowhere")).spec
    assert (spec.name, spec.kind, spec.shape, spec.target, spec.output_size) == (
        "diabetes",
        "vector",
        (8,),
        "classification",
        1,
    )
    assert spec.class_names == ("tested positive", "tested negative")


def test_another_file_is_an_error(tmp_path):
    (tmp_path / "diabetes").mkdir()
    (tmp_path / "diabetes/diabetes.csv.gz").write_bytes(gzip.compress(b"1,2,3,4,5,6,7,8,0\n"))
    with pytest.raises(UserError) as error:
        Diabetes(dir=str(tmp_path)).setup("fit")
    assert str(error.value).endswith(
        "expected b7f372850118dfaf306e2f334e6a718f.\nMove it away and put the published file there.\nTo read the "
        "present file anyway: data=table data.path=diabetes/diabetes.csv.gz"
    )


def test_a_missing_file_without_download_is_an_error(tmp_path):
    with pytest.raises(
        UserError, match=r"diabetes\.csv\.gz is missing, and data\.download=false disables the download"
    ):
        Diabetes(dir=str(tmp_path), download=False).setup("fit")


@pytest.mark.real_data
def test_the_real_file_has_759_rows_and_inverted_classes(diabetes_dir):
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
