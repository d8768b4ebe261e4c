"""Which code a config from a file may name."""

from pathlib import Path

import pytest
import yaml

from trainer.config.target_allowlist import UNDECLARED, declared, refused, require
from trainer.core.errors import UserError

CONF = Path(__file__).parents[2] / "conf"

FINE = [
    "trainer.model.cnn.CNN",
    "trainer.task.objective.objective_for",
    "trainer.task.schedulers.cosine",
    "torch.optim.Adam",
    "torch.optim.lr_scheduler.StepLR",
    "torch.nn.ReLU",
    "torchmetrics.Accuracy",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.EarlyStopping",
]

BAD = {
    "os.system": "Python's own",
    "builtins.eval": "Python's own",
    "eval": "Python's own",
    "subprocess.Popen": "Python's own",
    "torch.load": "of torch only torch.nn, torch.optim",
    "torch.hub.load": "of torch only torch.nn, torch.optim",
    "trainer.cli.main.os.system": "no class of these packages",
    "torch.optim.optimizer.functools.partial": "no class of these packages",
    "trainer.core.lazy_imports.ModuleType": "no class of these packages",
    "trainer.data.cifar10.pickle.loads": "no class of these packages",
    "trainer.data.cifar10.read_batch": "no class of these packages",
    "trainer.artifacts.run_directory.write": "no class of these packages",
    "trainer.model.cnn.CNN.load_state_dict": "no class of these packages",
    "pytorch_lightning.cli.LightningCLI": "",
    "trainer.nothing.AtAll": "cannot be imported",
    "hydra.utils.get_class": UNDECLARED,
    "my_code.Net": UNDECLARED,
    "trainerlike.Net": UNDECLARED,
}


@pytest.mark.parametrize("target", FINE)
def test_classes_of_these_packages_may_be_named(target):
    assert not [*refused({"net": {"_target_": target}})]


@pytest.mark.parametrize("target", BAD)
def test_anything_else_may_not(target):
    [(key, named, reason)] = refused({"model": {"net": {"_target_": target, "_args_": ["ls"]}}})
    assert (key, named) == ("model.net", target)
    assert BAD[target] in reason
    assert reason


def test_nothing_is_imported_that_is_not_trusted(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert [*refused({"_target_": "evil.Net"})]
    assert [*refused({"_target_": "trainer.evil.Net"})]


def test_every_depth_is_looked_at():
    deep = {"a": [{"b": {"_target_": "torch.nn.ReLU", "more": [{"_target_": "os.system"}]}}]}
    assert [key for key, *_ in refused(deep)] == ["a[0].b.more[0]"]


def test_a_reference_could_bring_in_a_target_and_is_refused():
    [(key, _, reason)] = refused({"net": {"hidden": "${oc.decode:'{_target_: x.Y}'}"}})
    assert (key, reason) == ("net.hidden", "a reference, which no finished config holds")


def test_a_target_that_is_no_text_is_refused():
    assert [reason for *_, reason in refused({"_target_": ["os", "system"]})] == ["no dotted name"]


def test_what_the_user_declares_may_be_named_but_never_what_is_pythons_own(monkeypatch):
    config = {"net": {"_target_": "my_code.Net"}, "data": {"_target_": "other.Data"}, "x": {"_target_": "os.system"}}
    assert [key for key, *_ in refused(config, ["my_code", "os"])] == ["data", "x"]
    monkeypatch.setenv("TRAINER_TRUST", "other, my_code")
    assert declared("more,one") == ("other", "my_code", "more", "one")
    with pytest.raises(UserError, match=r"^'a.ckpt' names code that is not trusted; nothing of it was run\n  x: os.s"):
        require(config, "a.ckpt")


def test_the_message_says_what_to_type_for_code_of_ones_own_alone():
    with pytest.raises(UserError, match=r"add trust=my_code \(or set TRAINER_TRUST=my_code\)"):
        require({"net": {"_target_": "my_code.Net"}}, "a.ckpt")
    with pytest.raises(UserError) as told:
        require({"net": {"_target_": "os.system"}}, "a.ckpt")
    assert "trust=" not in str(told.value)


@pytest.mark.parametrize("file", sorted(CONF.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_choice_of_ours_may_be_named(file):
    node = yaml.safe_load(file.read_text())
    assert not [found for found in refused(node) if found[2] != "a reference, which no finished config holds"]
