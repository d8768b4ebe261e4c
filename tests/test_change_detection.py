"""Code and data that have changed since a run was started: resuming it names them, and asks first."""

import json
import sys

import pytest

XOR = ["data=xor", "model=mine", "trainer.max_epochs=1", "+trainer.limit_train_batches=4", "hydra.run.dir=run"]
LONGER, TRUST = "trainer.max_epochs=2", "trust=my_code"
MODEL = """
task: {_target_: trainer.task.supervised.Supervised, _partial_: true}
net: {_target_: my_code.Net, _partial_: true}
"""
NET = "from torch import nn\nfrom my_layers import act\n\n\ndef Net(spec):\n"
NET += "    return nn.Sequential(nn.Flatten(), nn.Linear(2, 3), act(), nn.Linear(3, 1))\n"
TABLE = [
    *["data=table", "data.path=my.csv", "data.dir=.", "data.features=2", "data.target=y", "data.task=values"],
    *["data.batch_size=8", "trainer.max_epochs=1", "hydra.run.dir=run"],
]
LOADERS = """
from pytorch_lightning import LightningDataModule
from torch import ones
from torch.utils.data import DataLoader, TensorDataset
from trainer.core.spec import DataSpec

class Constant(LightningDataModule):
    spec = DataSpec(name="constant", kind="vector", shape=(2,), target="values", output_size=1)
    def checksum(self):
        return "f" * 64
    def train_dataloader(self):
        return DataLoader(TensorDataset(ones(8, 2), ones(8, 1)), 4)
    val_dataloader = test_dataloader = train_dataloader

class Without(Constant):
    checksum = None
"""


@pytest.fixture
def mine(tmp_path):
    """A network of the user's, in two files outside of git."""
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(MODEL)
    (tmp_path / "my_code.py").write_text(NET)
    (tmp_path / "my_layers.py").write_text("from torch.nn import ReLU as act\n")
    return tmp_path


def change(file, text):
    """Write another text, as in an editor, before another process imports it."""
    file.write_text(text)
    sys.modules.pop("my_code", None)
    sys.modules.pop(file.stem, None)


def files(run):
    return {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.suffix in (".json", ".csv")}


def provenance(run):
    return json.loads((run / "provenance.json").read_text())


@pytest.mark.parametrize(
    "again", [["resume", "run", LONGER, TRUST], [*XOR, LONGER, "resume=auto"]], ids=["resume", "auto"]
)
def test_changed_code_is_named_and_not_mixed_in_unless_that_is_asked_for(again, command, mine):
    assert command(*XOR).code == 0
    before = files(mine / "run")
    change(mine / "my_layers.py", "from torch.nn import Sigmoid as act\n")
    refused = command(*again)
    assert refused.code == 1
    assert refused.err == (
        f"error: the run in '{mine / 'run'}' was made with other code or data:\n"
        "  my_layers.py: changed\n"
        "  put back what has changed, or go on with it as it is now: accept_changes=true\n"
    )
    assert files(mine / "run") == before
    accepted = command(*again, "accept_changes=true")
    assert accepted.code == 0, accepted.err
    result = json.loads((mine / "run/result.json").read_text())
    assert (result["epochs"], result["accepted_changes"]) == (2, ["my_layers.py: changed"])
    first, second = provenance(mine / "run"), provenance(mine / "run")["resumed"][0]
    assert first["code"]["my_layers.py"] != second["code"]["my_layers.py"]
    assert first["code"]["my_code.py"] == second["code"]["my_code.py"]
    assert [(mine / f"run/{name}/my_layers.py").read_text().split()[3] for name in ("code", "code-2")] == [
        "ReLU",
        "Sigmoid",
    ]
    third = command("resume", "run", "trainer.max_epochs=3", TRUST)  # with the code of the second start
    assert third.code == 0, third.err
    assert json.loads((mine / "run/result.json").read_text())["accepted_changes"] == ["my_layers.py: changed"]


def test_files_that_were_not_imported_may_change(command, mine):
    assert command(*XOR).code == 0
    for name in ("README.md", "test_my_code.py", "my_other_code.py", "conf/model/mine.yaml"):
        file = mine / name
        file.write_text((file.read_text() if file.exists() else "") + "# new\n")
    resumed = command("resume", "run", LONGER, TRUST)
    assert resumed.code == 0, resumed.err


def test_a_change_of_this_package_is_named_as_well(command, mine):
    assert command(*XOR).code == 0
    facts = provenance(mine / "run")
    facts["code"]["trainer/task/objective.py"] = "0" * 16
    (mine / "run/provenance.json").write_text(json.dumps(facts))
    refused = command("resume", "run", LONGER, TRUST)
    assert "src/trainer/task/objective.py: changed\n" in refused.err
    assert refused.code == 1


def test_a_run_without_a_checkpoint_starts_again_with_the_code_of_today(command, mine):
    assert command(*XOR, "~callbacks.checkpoint").code == 0
    (mine / "run/result.json").unlink()
    change(mine / "my_layers.py", "from torch.nn import Sigmoid as act\n")
    resumed = command("resume", "run", TRUST)
    assert resumed.code == 0, resumed.err
    assert "accepted_changes" not in json.loads((mine / "run/result.json").read_text())


def rows(first):
    return "a,b,y\n" + "\n".join(f"{first + i},{i * i % 7},{i % 5}" for i in range(60)) + "\n"


def test_changed_data_are_named_and_not_mixed_in_unless_that_is_asked_for(command, tmp_path):
    (tmp_path / "my.csv").write_text(rows(0))
    assert command(*TABLE).code == 0
    before = files(tmp_path / "run")
    (tmp_path / "my.csv").write_text(rows(7))
    refused = command("resume", "run", LONGER)
    assert refused.code == 1
    assert "  data.path=my.csv: other examples (SHA-256 " in refused.err
    assert refused.err.endswith("accept_changes=true\n")
    assert files(tmp_path / "run") == before
    accepted = command("resume", "run", LONGER, "accept_changes=true")
    assert accepted.code == 0, accepted.err
    facts = provenance(tmp_path / "run")
    sums = [facts["data_sha256"], facts["resumed"][0]["data_sha256"]]
    assert len({*sums, None}) == 3
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["data_sha256"], len(result["accepted_changes"])) == (sums[1], 1)
    (tmp_path / "my.csv").write_text(rows(0))
    assert "data.path=my.csv: other examples" in command("resume", "run", "trainer.max_epochs=3").err


@pytest.mark.parametrize("name", ["Constant", "Without"])
def test_a_checksum_that_does_not_depend_on_the_data_counts_as_unknown(name, command, tmp_path):
    (tmp_path / "my_loaders.py").write_text(LOADERS)
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/mine.yaml").write_text(f"_target_: my_loaders.{name}\n")
    words = ["data=mine", "callbacks=[checkpoint]", "trainer.max_epochs=1", "hydra.run.dir=run"]
    first = command(*words)
    assert first.code == 0, first.err
    assert json.loads((tmp_path / "run/result.json").read_text())["data_sha256"] is None
    resumed = command("resume", "run", LONGER, "trust=my_loaders")
    assert resumed.code == 0, resumed.err
    assert "data   without a checksum that depends on them: not compared" in resumed.out


@pytest.mark.parametrize("words", [["test", "run", TRUST], [*XOR[:-1], "ckpt_path=run/checkpoints/last.ckpt"]])
def test_a_checkpoint_of_other_code_is_used_with_a_warning(words, command, mine):
    assert command(*XOR).code == 0
    assert "was made with other code" not in command(*words).out
    change(mine / "my_layers.py", "from torch.nn import Sigmoid as act\n")
    outcome = command(*words)
    assert outcome.code == 0, outcome.err
    name = f"run/checkpoints/{'best' if words[0] == 'test' else 'last'}.ckpt"
    assert f"warning: the checkpoint '{name}' was made with other code:\n  my_layers.py: changed\n" in outcome.out


def test_a_resumed_run_has_the_words_that_hold_now(command, tmp_path):
    words = ["data=xor", "trainer.max_epochs=1", "+trainer.limit_train_batches=4", "hydra.run.dir=run"]
    assert command(*words).code == 0
    assert command("resume", "run", "trainer.max_epochs=2", "callbacks.pictures.images=3").code == 0
    assert command("resume", "run", "trainer.max_epochs=3").code == 0
    [row] = json.loads(command("runs", ".", "--json").out)
    assert row["changed"] == (
        "data=xor +trainer.limit_train_batches=4 callbacks.pictures.images=3 trainer.max_epochs=3"
    )
    assert command("report", "run", "--markdown").code == 0
    page = (tmp_path / "run/page.md").read_text()
    assert f"trainer {row['changed']}\n" in page
