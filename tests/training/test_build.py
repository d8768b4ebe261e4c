"""Construction of the objects of a config."""

import pytest
from omegaconf import OmegaConf
from pytorch_lightning import LightningDataModule

from trainer.training.build import add_inferred_settings


class Expensive(LightningDataModule):
    """A data module of a user, which must not be built without need."""

    def __init__(self):
        super().__init__()
        raise AssertionError


def test_the_config_of_a_run_contains_what_was_found_in_the_file(tmp_path):
    (tmp_path / "a.csv").write_text("x,kind\n" + "1,a\n2,b\n" * 5)
    node = {"_target_": "trainer.data.table.Table", "path": str(tmp_path / "a.csv"), "class_names": []}
    config = OmegaConf.create({"seed": 3, "data": node})
    filled = add_inferred_settings(config)
    assert (filled.data.class_names, filled.data.task, filled.seed) == (["a", "b"], "classification", 3)
    assert filled.data.columns == {"x": {"kind": "number"}}
    assert config.data.class_names == []  # not changed


def test_a_data_module_without_such_settings_is_not_built_for_them():
    target = f"{__name__}.Expensive"
    config = OmegaConf.create({"data": {"_target_": target}})
    assert add_inferred_settings(config) is config
    with pytest.raises(AssertionError):
        Expensive()
