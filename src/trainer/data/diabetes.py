"""Diabetes: who of 759 women of the Pima people tested positive for diabetes, by eight measurements."""

from collections.abc import Sequence
from dataclasses import replace

from trainer.core.spec import DataSpec, Share
from trainer.data.table import Table


class Diabetes(Table):
    """The Pima file of the PyTorch tutorials: eight numbers scaled to [-1, 1], and a class.

    The class is turned round against the original: 1 means tested *negative*. Of the original's 768 rows 759 are
    there. Zeros of the original that stood for missing measurements are numbers here like any others.

    Args:
        dir: Root of the data sets; the file lies in `diabetes` below it.
        mirrors: http or https folders which have the file, tried in turn where it is missing.
        download: Whether a missing file may be fetched.
        standardise, synthetic, val_share, test_share, data_seed: See `Table`.
        batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        Smith, Everhart, Dickson, Knowler, Johannes 1988, Using the ADAP learning algorithm to forecast the onset of
        diabetes mellitus; the file is that of Sung Kim's PyTorchZeroToAll.
    """

    other_file = "data=table data.path=diabetes/diabetes.csv.gz data.features=8 data.header=false"

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the word users type: data.dir
        mirrors: Sequence[str] = (),
        download: bool = True,
        standardise: bool = True,
        synthetic: bool = False,
        val_share: Share = 0.2,
        test_share: Share = 0.2,
        data_seed: int = 0,
        batch_size: int = 32,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(
            path="diabetes/diabetes.csv.gz",
            md5="b7f372850118dfaf306e2f334e6a718f",
            features=8,
            header=False,
            class_names=("tested positive", "tested negative"),
            dir=dir,
            mirrors=mirrors,
            download=download,
            standardise=standardise,
            synthetic=synthetic,
            val_share=val_share,
            test_share=test_share,
            data_seed=data_seed,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            seed=seed,
        )

    @property
    def spec(self) -> DataSpec:
        """Eight features, two classes."""
        return replace(super().spec, name="diabetes")
