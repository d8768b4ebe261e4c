"""Display callbacks are detected, are not part of the fingerprint, and may change when a run is resumed."""

import inspect
import json
from importlib import import_module
from pkgutil import walk_packages

import pytest
import pytorch_lightning.callbacks
import yaml
from pytorch_lightning import Callback

import trainer.callbacks
from trainer.artifacts.display_callbacks import LIGHTNING_DISPLAY_CALLBACKS, _read_source_declaration, affects_training
from trainer.config.schema import RESOURCE_DIR
from trainer.sweeps.search.pruning import Pruning

XOR = [
    "data=xor",
    "callbacks=[default,histograms,attribution]",
    "trainer.max_epochs=1",
    "+trainer.limit_train_batches=2",
]
# in addition to the display callbacks, these are all of Lightning's
LIGHTNING_TRAINING = {
    *("BackboneFinetuning", "BaseFinetuning", "BatchSizeFinder", "Callback", "Checkpoint", "EMAWeightAveraging"),
    *("EarlyStopping", "GradientAccumulationScheduler", "LambdaCallback", "LearningRateFinder", "ModelCheckpoint"),
    *("ModelPruning", "SpikeDetection", "StochasticWeightAveraging", "Timer", "WeightAveraging"),
}


def classes_in(package):
    """Yield all callback classes that the modules of a package define."""
    for info in walk_packages(package.__path__, f"{package.__name__}."):
        module = import_module(info.name)
        for value in vars(module).values():
            if inspect.isclass(value) and issubclass(value, Callback) and value.__module__ == module.__name__:
                yield value


@pytest.mark.parametrize("cls", [*classes_in(trainer.callbacks), Pruning], ids=lambda cls: cls.__name__)
def test_every_callback_class_declares_whether_it_affects_training(cls):
    assert isinstance(vars(cls).get("affects_training"), bool)


def test_every_callback_class_of_lightning_is_known():
    names = {cls.__name__ for cls in classes_in(pytorch_lightning.callbacks)}
    assert names == LIGHTNING_DISPLAY_CALLBACKS | LIGHTNING_TRAINING


@pytest.mark.parametrize("cls", [*classes_in(trainer.callbacks), *classes_in(pytorch_lightning.callbacks)])
def test_source_and_class_have_the_same_declaration(cls):
    target = f"{cls.__module__}.{cls.__name__}"
    by_source = _read_source_declaration(target) is not False
    assert by_source == affects_training(target)


@pytest.mark.parametrize(
    ("name", "affects"),
    [("Own", False), ("Inheriting", False), ("Renamed", False), ("Again", True), ("Silent", True), ("function", True)],
)
def test_the_class_of_a_user_is_read_and_not_imported(name, affects, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shown_by").mkdir()
    (tmp_path / "shown_by/__init__.py").write_text("from .bases import Own as Renamed\nraise RuntimeError\n")
    (tmp_path / "shown_by/bases.py").write_text(
        "from typing import ClassVar\nimport pytorch_lightning as pl\n"
        "class Own(pl.Callback):\n    affects_training: ClassVar[bool] = False\n"
        "class Silent(pl.Callback):\n    pass\n"
        "def function():\n    pass\n"
    )
    (tmp_path / "shown_by/classes.py").write_text(
        "import shown_by.bases\nfrom . import bases\nfrom .bases import Own, Silent, function\n"
        "class Inheriting(shown_by.bases.Silent, bases.Own):\n    pass\n"
        "class Again(Own):\n    affects_training = True\n"
    )
    assert affects_training(f"shown_by.{'' if name == 'Renamed' else 'classes.'}{name}") is affects


def display_overrides():
    """Yield overrides that change each argument of the display callbacks of XOR."""
    for file in sorted((RESOURCE_DIR / "conf/callbacks").glob("*.yaml")):
        node = yaml.safe_load(file.read_text()).get(file.stem, {})
        if affects_training(node.get("_target_", "")) or "???" in node.values():
            continue
        for key, value in node.items():
            if isinstance(value, bool):
                yield f"callbacks.{file.stem}.{key}={str(not value).lower()}"
            elif isinstance(value, int | float):
                yield f"callbacks.{file.stem}.{key}={value + 1}"


@pytest.mark.slow
def test_any_argument_of_a_display_callback_may_change_at_resume_and_keeps_the_fingerprint(command):
    overrides = [*display_overrides()]
    assert len(overrides) >= 16
    first = command(*XOR, "hydra.run.dir=first")
    assert first.code == 0, first.err
    resumed = command("resume", "first", "trainer.max_epochs=2", *overrides)
    assert resumed.code == 0, resumed.err
    reference = command(*XOR, "trainer.max_epochs=2", "callbacks=default", "hydra.run.dir=reference")
    results = [json.loads((reference.directory / run / "result.json").read_text()) for run in ("first", "reference")]
    assert results[0]["fingerprint"] == results[1]["fingerprint"]
    assert results[0]["metrics"] == results[1]["metrics"]
