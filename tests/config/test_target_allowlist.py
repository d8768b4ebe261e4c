"""Tests of the allow-list for targets in recorded configs."""

from pathlib import Path

import pytest
import yaml

from trainer.config.target_allowlist import (
    UNDECLARED_REASON,
    find_untrusted_targets,
    get_trusted_packages,
    require_trusted_targets,
)
from trainer.core.errors import UserError

CONF = Path(__file__).parents[2] / "conf"

TRUSTED = [
    "trainer.model.cnn.CNN",
    "trainer.task.objective.make_objective",
    "trainer.task.schedulers.cosine",
    "torch.optim.Adam",
    "torch.optim.lr_scheduler.StepLR",
    "torch.nn.ReLU",
    "torchmetrics.Accuracy",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.EarlyStopping",
]

UNTRUSTED = {
    "os.system": "part of the Python standard library",
    "builtins.eval": "part of the Python standard library",
    "eval": "part of the Python standard library",
    "subprocess.Popen": "part of the Python standard library",
    "torch.load": "only torch.nn, torch.optim of torch are trusted",
    "torch.hub.load": "only torch.nn, torch.optim of torch are trusted",
    "trainer.cli.main.os.system": "not a class of a trusted package",
    "torch.optim.optimizer.functools.partial": "not a class of a trusted package",
    "trainer.core.lazy_imports.ModuleType": "not a class of a trusted package",
    "trainer.data.cifar10.pickle.loads": "not a class of a trusted package",
    "trainer.data.cifar10.read_batch": "not a class of a trusted package",
    "trainer.core.atomic_write.atomic_write_text": "not a class of a trusted package",
    "trainer.model.cnn.CNN.load_state_dict": "not a class of a trusted package",
    "pytorch_lightning.cli.LightningCLI": "",
    "trainer.nothing.AtAll": "cannot be imported",
    "hydra.utils.get_class": "builds any object",
    "omegaconf.OmegaConf.load": "builds any object",
    "trainer.__main__.X": "special name of Python",
    "trainer.model.mlp.MLP.__init__": "special name of Python",
    "trainer.sweeps.executors.ray.RayExecutor": "not a network",
    "trainer.config.compose.Composer": "not a network",
    "trainer.sweeps.executors.worker.Thread": "not a class of a trusted package",
    "pytorch_lightning.loggers.csv_logs.ExperimentWriter": "not a network",
    "pytorch_lightning.callbacks.LambdaCallback": "not a network",
    "torchvision.datasets.MNIST": "not a network",
    "my_code.Net": UNDECLARED_REASON,
    "trainerlike.Net": UNDECLARED_REASON,
}


@pytest.mark.parametrize("target", TRUSTED)
def test_classes_of_trusted_packages_are_allowed(target):
    assert not [*find_untrusted_targets({"net": {"_target_": target}})]


@pytest.mark.parametrize("target", UNTRUSTED)
def test_other_targets_are_rejected(target):
    [(key, name, reason)] = find_untrusted_targets({"model": {"net": {"_target_": target, "_args_": ["ls"]}}})
    assert (key, name) == ("model.net", target)
    assert UNTRUSTED[target] in reason
    assert reason


def test_untrusted_modules_are_not_imported(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert [*find_untrusted_targets({"_target_": "evil.Net"})]
    assert [*find_untrusted_targets({"_target_": "trainer.evil.Net"})]


def test_nested_targets_are_checked():
    deep = {"a": [{"b": {"_target_": "torch.nn.ReLU", "more": [{"_target_": "os.system"}]}}]}
    assert [key for key, *_ in find_untrusted_targets(deep)] == ["a[0].b.more[0]"]


def test_interpolations_are_rejected():
    [(key, _, reason)] = find_untrusted_targets({"net": {"hidden": "${oc.decode:'{_target_: x.Y}'}"}})
    assert (key, reason) == ("net.hidden", "interpolation in a recorded config")


def test_a_target_must_be_a_string():
    assert [reason for *_, reason in find_untrusted_targets({"_target_": ["os", "system"]})] == ["not a dotted name"]


def test_declared_packages_are_allowed_except_the_standard_library(tmp_path, monkeypatch):
    (tmp_path / "declared_code.py").write_text(
        "import os, torch\nfrom torch.nn import ReLU\nclass Net: pass\ndef net(): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = {
        "net": {"_target_": "declared_code.Net"},
        "data": {"_target_": "other.Data"},
        "x": {"_target_": "os.system"},
    }
    assert [key for key, *_ in find_untrusted_targets(config, ["declared_code", "os"])] == ["data", "x"]
    for allowed in ("declared_code.net", "declared_code.ReLU"):
        assert not [*find_untrusted_targets({"_target_": allowed}, ["declared_code"])]
    for imported in ("declared_code.os.system", "declared_code.torch.hub.load", "declared_code.torch.load"):
        [(_, _, reason)] = find_untrusted_targets({"_target_": imported}, ["declared_code"])
        assert "which is not trusted" in reason
    assert [*find_untrusted_targets({"_target_": "hydra.utils.get_method", "path": "os.system"}, ["hydra"])]
    (tmp_path / "other.py").write_text("class Data: pass\n")
    monkeypatch.setenv("TRAINER_TRUST", "other, declared_code")
    assert get_trusted_packages("more,one") == ("other", "declared_code", "more", "one")
    with pytest.raises(UserError, match=r"^'a.ckpt' names code that is not trusted; none of it was run\n  x: os.s"):
        require_trusted_targets(config, "a.ckpt")


def test_the_message_suggests_trust_for_undeclared_packages_only():
    with pytest.raises(UserError, match=r"add --trust=my_code \(or set TRAINER_TRUST=my_code\)"):
        require_trusted_targets({"net": {"_target_": "my_code.Net"}}, "a.ckpt")
    with pytest.raises(UserError) as error:
        require_trusted_targets({"net": {"_target_": "os.system"}}, "a.ckpt")
    assert "trust=" not in str(error.value)


@pytest.mark.parametrize("file", sorted(CONF.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_packaged_choice_is_allowed(file):
    violations = find_untrusted_targets(yaml.safe_load(file.read_text()))
    # `???` is a class of the user
    assert not [v for v in violations if v[1] != "???" and v[2] != "interpolation in a recorded config"]
