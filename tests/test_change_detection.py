"""Detection of code and data that have changed since a run was started."""

import json
import sys

import pytest

from trainer.artifacts.code_hashes import hash_file

XOR = ["data=xor", "model=mine", "trainer.max_epochs=1", "+trainer.limit_train_batches=4", "hydra.run.dir=run"]
LONGER = "trainer.max_epochs=2"
TRUST = "--trust=my_code"
MODEL = """
_target_: trainer.task.supervised.Supervised
net: {_target_: my_code.Net, _partial_: true}
"""
NET = "from torch import nn\nfrom my_layers import act\n\n\ndef Net(spec):\n"
NET += "    return nn.Sequential(nn.Flatten(), nn.Linear(2, 3), act(), nn.Linear(3, 1))\n"
TABLE = [
    *["data=table", "data.path=my.csv", "data.dir=.", "data.target=y", "data.task=regression"],
    *["data.batch_size=8", "trainer.max_epochs=1", "hydra.run.dir=run"],
]
LOADERS = """
from pytorch_lightning import LightningDataModule
from torch import ones
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from trainer.core.spec import DataSpec

class Constant(LightningDataModule):
    spec = DataSpec(name="constant", kind="vector", shape=(2,), target="regression", output_size=1)
    def checksum(self):
        return "f" * 64
    def train_dataloader(self):
        return DataLoader(TensorDataset(ones(8, 2), ones(8, 1)), 4)
    val_dataloader = test_dataloader = train_dataloader

class Missing(Constant):
    checksum = None

class Stream(Missing):
    def train_dataloader(self):
        return DataLoader(Examples(), 4)

class Examples(IterableDataset):
    def __iter__(self):
        return iter([(ones(2), ones(1))] * 8)
"""
TRAIN_ONLY = """
class TrainOnly(Missing):
    val_dataloader = LightningDataModule.val_dataloader
"""


@pytest.fixture
def project(tmp_path):
    """Write a user's network in two files outside of git."""
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(MODEL)
    (tmp_path / "my_code.py").write_text(NET)
    (tmp_path / "my_layers.py").write_text("from torch.nn import ReLU as act\n")
    return tmp_path


def change(file, text):
    """Overwrite a module and drop it from the imported ones."""
    file.write_text(text)
    sys.modules.pop("my_code", None)
    sys.modules.pop(file.stem, None)


def read_files(run):
    return {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.suffix in (".json", ".csv")}


def read_provenance(run):
    return json.loads((run / "provenance.json").read_text())


RESUME = pytest.param(["resume", "run", LONGER, TRUST], id="resume", marks=pytest.mark.slow)


@pytest.mark.parametrize("arguments", [RESUME, pytest.param([*XOR, LONGER, "resume=auto"], id="auto")])
def test_changed_code_is_refused_unless_accepted(arguments, command, project):
    assert command(*XOR).code == 0
    contents = read_files(project / "run")
    change(project / "my_layers.py", "from torch.nn import Sigmoid as act\n")
    refused = command(*arguments)
    assert refused.code == 1
    assert refused.err == (
        f"error: the run in '{project / 'run'}' used different code or data:\n"
        "  my_layers.py: changed\n"
        "  restore the old version, or continue with the new one: accept_changes=true\n"
    )
    assert read_files(project / "run") == contents
    accepted = command(*arguments, "accept_changes=true")
    assert accepted.code == 0, accepted.err
    result = json.loads((project / "run/result.json").read_text())
    assert (result["epochs"], result["accepted_changes"]) == (2, ["my_layers.py: changed"])
    first = read_provenance(project / "run")
    second = first["resumed"][0]
    assert first["code"]["my_layers.py"] != second["code"]["my_layers.py"]
    assert first["code"]["my_code.py"] == second["code"]["my_code.py"]
    assert [(project / f"run/{name}/my_layers.py").read_text().split()[3] for name in ("code", "code-2")] == [
        "ReLU",
        "Sigmoid",
    ]
    third = command("resume", "run", "trainer.max_epochs=3", TRUST)  # with the code of the second process
    assert third.code == 0, third.err
    assert json.loads((project / "run/result.json").read_text())["accepted_changes"] == ["my_layers.py: changed"]


def test_changes_of_files_that_were_not_imported_are_ignored(command, project):
    assert command(*XOR).code == 0
    for name in ("README.md", "test_my_code.py", "my_other_code.py", "conf/model/mine.yaml"):
        file = project / name
        file.write_text((file.read_text() if file.exists() else "") + "# new\n")
    resumed = command("resume", "run", LONGER, TRUST)
    assert resumed.code == 0, resumed.err


def test_a_change_of_this_package_is_refused(command, project):
    assert command(*XOR).code == 0
    provenance = read_provenance(project / "run")
    provenance["code"]["trainer/task/objective.py"] = "0" * 16
    (project / "run/provenance.json").write_text(json.dumps(provenance))
    refused = command("resume", "run", LONGER, TRUST)
    assert "src/trainer/task/objective.py: changed\n" in refused.err
    assert refused.code == 1


def test_a_run_without_a_checkpoint_is_restarted_with_the_current_code(command, project):
    assert command(*XOR, "~callbacks.checkpoint").code == 0
    (project / "run/result.json").unlink()
    change(project / "my_layers.py", "from torch.nn import Sigmoid as act\n")
    resumed = command("resume", "run", TRUST)
    assert resumed.code == 0, resumed.err
    assert "accepted_changes" not in json.loads((project / "run/result.json").read_text())


def accept_code(run, file):
    """Replace the recorded hash of a file by the current one."""
    provenance = read_provenance(run)
    for start in (provenance, *provenance.get("resumed", [])):
        start["code"][file.name] = hash_file(file)
    (run / "provenance.json").write_text(json.dumps(provenance))


def format_csv(start):
    return "a,b,y\n" + "\n".join(f"{start + i},{i * i % 7},{i % 5}" for i in range(60)) + "\n"


@pytest.mark.slow
def test_changed_data_are_refused_unless_accepted(command, tmp_path):
    (tmp_path / "my.csv").write_text(format_csv(0))
    assert command(*TABLE).code == 0
    contents = read_files(tmp_path / "run")
    (tmp_path / "my.csv").write_text(format_csv(7))
    refused = command("resume", "run", LONGER)
    assert refused.code == 1
    assert "  data.path=my.csv: different examples (SHA-256 " in refused.err
    assert refused.err.endswith("accept_changes=true\n")
    assert read_files(tmp_path / "run") == contents
    accepted = command("resume", "run", LONGER, "accept_changes=true")
    assert accepted.code == 0, accepted.err
    provenance = read_provenance(tmp_path / "run")
    checksums = [provenance["data_sha256"], provenance["resumed"][0]["data_sha256"]]
    assert len({*checksums, None}) == 3
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["data_sha256"], len(result["accepted_changes"])) == (checksums[1], 1)
    (tmp_path / "my.csv").write_text(format_csv(0))
    assert "data.path=my.csv: different examples" in command("resume", "run", "trainer.max_epochs=3").err


def train_with_loaders(name, command, project):
    """Train for an epoch with a data module of `LOADERS`, and return the recorded checksum."""
    (project / "my_loaders.py").write_text(LOADERS)
    (project / "conf/data").mkdir(parents=True)
    (project / "conf/data/mine.yaml").write_text(f"_target_: my_loaders.{name}\n")
    first = command("data=mine", "callbacks=[checkpoint]", "trainer.max_epochs=1", "hydra.run.dir=run")
    assert first.code == 0, first.err
    checksum = json.loads((project / "run/result.json").read_text())["data_sha256"]
    assert read_provenance(project / "run")["data_sha256"] == checksum
    return checksum


@pytest.mark.parametrize("name", ["Constant", "Missing"])
@pytest.mark.slow
def test_without_a_checksum_that_depends_on_the_data_examples_are_compared(name, command, tmp_path):
    checksum = train_with_loaders(name, command, tmp_path)
    assert checksum not in (None, "f" * 64)
    resumed = command("resume", "run", LONGER, "--trust=my_loaders")
    assert resumed.code == 0, resumed.err
    assert "not compared" not in resumed.out
    change(tmp_path / "my_loaders.py", LOADERS.replace("ones(8, 1)", "ones(8, 1) / 2"))
    longest = ["resume", "run", "trainer.max_epochs=3", "--trust=my_loaders"]
    assert "my_loaders.py: changed" in command(*longest).err
    accept_code(tmp_path / "run", tmp_path / "my_loaders.py")
    contents = read_files(tmp_path / "run")
    refused = command(*longest)
    assert refused.code == 1
    assert f"data._target_=my_loaders.{name}: different examples (SHA-256 was {checksum[:12]}, is " in refused.err
    assert {file: file.read_bytes() for file in contents} == contents
    accepted = command(*longest, "accept_changes=true")
    assert accepted.code == 0, accepted.err


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_the_checksum_includes_validation_examples_in_epochs_without_validation(command, tmp_path):
    checksum = train_with_loaders("Missing", command, tmp_path)
    without = ["trainer.num_sanity_val_steps=0", "trainer.check_val_every_n_epoch=2", "hydra.run.dir=second"]
    assert command("data=mine", "callbacks=[checkpoint]", "trainer.max_epochs=1", *without).code == 0
    assert read_provenance(tmp_path / "second")["data_sha256"] == checksum
    no_validation = ["data=mine", "callbacks=[]", "trainer.max_epochs=1", "test=false", "hydra.run.dir=third"]
    (tmp_path / "conf/data/mine.yaml").write_text("_target_: my_loaders.TrainOnly\n")
    change(tmp_path / "my_loaders.py", LOADERS + TRAIN_ONLY)
    assert command(*no_validation).code == 0
    assert read_provenance(tmp_path / "third")["data_sha256"] not in (None, checksum)


def test_examples_that_cannot_be_read_by_index_are_not_compared(command, tmp_path):
    assert train_with_loaders("Stream", command, tmp_path) is None
    resumed = command("resume", "run", LONGER, "--trust=my_loaders")
    assert resumed.code == 0, resumed.err
    assert "data   not compared: no checksum of the examples" in resumed.out


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["test", "run", TRUST], [*XOR[:-1], "ckpt_path=run/checkpoints/last.ckpt"]])
def test_a_checkpoint_of_other_code_causes_a_warning(arguments, command, project):
    assert command(*XOR).code == 0
    assert "used different code" not in command(*arguments).out
    change(project / "my_layers.py", "from torch.nn import Sigmoid as act\n")
    outcome = command(*arguments)
    assert outcome.code == 0, outcome.err
    name = f"run/checkpoints/{'best' if arguments[0] == 'test' else 'last'}.ckpt"
    assert f"warning: the checkpoint '{name}' used different code:\n  my_layers.py: changed\n" in outcome.out


def test_a_resumed_run_lists_its_current_overrides(command, tmp_path):
    overrides = ["data=xor", "trainer.max_epochs=1", "+trainer.limit_train_batches=4", "hydra.run.dir=run"]
    assert command(*overrides).code == 0
    assert command("resume", "run", "trainer.max_epochs=2", "callbacks.prediction_images.images=3").code == 0
    assert command("resume", "run", "trainer.max_epochs=3").code == 0
    [row] = json.loads(command("runs", ".", "--json").out)
    assert row["changed"] == (
        "data=xor +trainer.limit_train_batches=4 callbacks.prediction_images.images=3 trainer.max_epochs=3"
    )
    assert command("report", "run", "--markdown").code == 0
    page = (tmp_path / "run/page.md").read_text()
    assert f"trainer {row['changed']}\n" in page
