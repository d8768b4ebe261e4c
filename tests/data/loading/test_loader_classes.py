"""Loader classes after an exception in the code of a user."""

import pytest
from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.demos.boring_classes import BoringModel
from torch.utils.data import DataLoader

from trainer.data.loading.loader_classes import restore_loader_classes


class Failing(LightningDataModule):
    def train_dataloader(self):
        raise OSError("no such file")

    def val_dataloader(self):
        return DataLoader([])


def test_loader_classes_are_restored_after_an_exception(tmp_path):
    original = vars(DataLoader)["__init__"]
    trainer = Trainer(max_steps=1, default_root_dir=tmp_path, logger=False, barebones=True)
    with pytest.raises(OSError, match="no such file"):
        trainer.fit(BoringModel(), datamodule=Failing())
    assert vars(DataLoader)["__init__"] is not original  # Lightning's defect; without it this module can be deleted
    restore_loader_classes()
    assert vars(DataLoader)["__init__"] is original
    assert not [name for name in vars(DataLoader) if name.startswith("__old")]
