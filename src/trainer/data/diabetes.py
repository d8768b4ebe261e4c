"""Diabetes data set with eight measurements of 759 women of the Pima people."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trainer.core.spec import DataSpec, Fraction
from trainer.data.loading.class_balance import Sampling
from trainer.data.table import Table


class Diabetes(Table):
    """The Pima file of the PyTorch tutorials: eight numbers scaled to [-1, 1], and a class.

    The classes are inverted relative to the original: 1 means tested *negative*. The file has 759 of the 768 original
    rows. Zeros that mark missing measurements in the original are treated as numbers.

    Args:
        dir: Root of the data sets; the file is stored in its subdirectory `diabetes`.
        mirrors: URLs of http or https directories with the file, tried in turn if it is missing.
        download: Whether a missing file may be downloaded.
        standardize, synthetic, val_fraction, test_fraction, folds, fold, data_seed: See `Table`.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        Smith, Everhart, Dickson, Knowler, Johannes 1988, Using the ADAP learning algorithm to forecast the onset of
        diabetes mellitus; file from Sung Kim's PyTorchZeroToAll.
    """

    checksum_hint = "data=table data.path=diabetes/diabetes.csv.gz"

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        mirrors: Sequence[str] = (),
        download: bool = True,
        standardize: bool = True,
        synthetic: bool = False,
        val_fraction: Fraction = 0.2,
        test_fraction: Fraction = 0.2,
        folds: int | None = None,
        fold: int = 0,
        data_seed: int = 0,
        sampling: Sampling = None,
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(
            path="diabetes/diabetes.csv.gz",
            md5="b7f372850118dfaf306e2f334e6a718f",
            features=8,
            header=False,
            delimiter=",",
            encoding="utf-8",
            skipped_lines=0,
            task="classification",
            class_names=("tested positive", "tested negative"),
            stratify=False,
            repeats=1,
            dir=dir,
            mirrors=mirrors,
            download=download,
            standardize=standardize,
            synthetic=synthetic,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            folds=folds,
            fold=fold,
            data_seed=data_seed,
            sampling=sampling,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            seed=seed,
        )

    @property
    def inferred_settings(self) -> dict[str, Any]:
        """None: the file is known."""
        return {}

    @property
    def spec(self) -> DataSpec:
        """Eight features, two classes."""
        return replace(super().spec, name="diabetes")
