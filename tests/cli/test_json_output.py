"""Every command prints JSON of its documented type with `--json`, and nothing else on standard output."""

import json
import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image
from pydantic import TypeAdapter

import trainer
from trainer.cli.commands import list_commands, read_help
from trainer.cli.json_output import print_json, reserve_stdout

SERVERS = {"mcp", "tensorboard"}  # they run until Ctrl-C
QUICK = ["trainer.max_epochs=1", "logger=none", "preflight.step=false", "callbacks=[checkpoint]"]
RUNS = {
    "digits": ["data=digits", "model=linear"],
    "sweep/1": ["data=digits", "model=linear", "seed=1"],
    "sweep/2": ["data=digits", "model=linear", "seed=2", "optimizer.lr=0.1"],
    "gan": ["data=digits", "model=gan", "model.net.generator=[4]", "model.net.discriminator=[4]", "test=false"],
}
TYPES = {
    name: document
    for command in sorted({*list_commands()} - SERVERS)
    for name, (document, _) in import_module(f"trainer.cli.commands.{command}").JSON_OUTPUTS.items()
}
CASES = {
    "check": "check data=xor modle=cnn",
    "describe DOTTED.PATH": "describe torch.optim.SGD",
    "describe GROUP": "describe model",
    "describe GROUP/CHOICE": "describe experiment/digits_cnn",
    "diff": "diff digits_cnn data=xor",
    "explain": "explain optimizer optimizer.lr=0.1",
    "list": "list",
    "sweep plan": "sweep plan data=xor model=linear seed=1,2",
}
CASES_WITH_RUNS = {
    "attribute": "attribute digits digit.png",
    "compare": "compare sweep/1 sweep/2",
    "ensemble": "ensemble sweep --output=both",
    "export": "export digits --to=digits.pt2",
    "predict": "predict digits digit.png",
    "predict --to FILE": "predict digits digit.png --to=predictions.csv",
    "replay": "replay digits",
    "report": "report digits",
    "resume": "resume digits trainer.max_epochs=2",
    "runs": "runs sweep",
    "sample": "sample gan --count=2",
    "schema": "schema",
    "sweep plan sweep.n_trials=N": "sweep plan data=xor optimizer.lr=interval(0.1,1) sweep.n_trials=3 "
    "optimized_metric=val/loss",
    "sweep report": "sweep report sweep",
    "sweep resume": "sweep resume xors",
    "sweep show": "sweep show xors",
    "test": "test digits",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, restored_logging):
    """Return a directory with the runs in `RUNS` and an image."""
    directory = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.delenv("TRAINER_DATA_DIR", raising=False)
        for name, overrides in RUNS.items():
            trainer.train(*overrides, *QUICK, f"hydra.run.dir={name}")
        Image.new("L", (8, 8)).save("digit.png")
    return directory


def parse(name, text):
    """Return a document, after a check of its types and its keys."""
    adapter = TypeAdapter(TYPES[name])
    document = json.loads(text)
    assert adapter.dump_python(adapter.validate_json(text), mode="json") == document
    return document


def test_every_command_that_is_no_server_prints_json():
    assert {name for name in list_commands() if "--json]" not in read_help(name)} == SERVERS
    assert {*CASES, *CASES_WITH_RUNS} == {*TYPES}


@pytest.mark.parametrize("name", CASES)
def test_documents_have_the_documented_types(name, command):
    outcome = command(*CASES[name].split(), "--json")
    assert outcome.code == (1 if name == "check" else 0), outcome.err
    assert parse(name, outcome.out)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES_WITH_RUNS)
def test_documents_about_runs_have_the_documented_types(name, command, runs, monkeypatch):
    monkeypatch.chdir(runs)
    if "xors" in CASES_WITH_RUNS[name] and not Path("xors").exists():
        sweep = ["data=xor", "model=linear", *QUICK, "seed=1,2", "hydra.sweep.dir=xors"]
        assert command("--multirun", *sweep).code == 0
    outcome = command(*CASES_WITH_RUNS[name].split(), "--json")
    assert outcome.code == 0, outcome.err
    assert parse(name, outcome.out)


def test_errors_are_printed_to_standard_error(command):
    outcome = command("describe", "model/cn", "--json")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "error: there is no model 'cn'; did you mean 'cnn'?\n"


def test_what_the_code_of_a_user_prints_is_not_in_the_document(command, tmp_path):
    text = "import os\nfrom torch import nn\n\nprint('imported')\n\n\nclass Net(nn.Linear):\n"
    text += "    def __init__(self, spec, **settings):\n"
    text += "        os.system('echo built')\n        super().__init__(2, 1)\n"
    (tmp_path / "printing.py").write_text(text)
    outcome = command("check", "data=xor", "model.net._target_=printing.Net", "--json")
    assert parse("check", outcome.out)["ok"], outcome.out
    assert {"imported", "built"} <= {*outcome.err.splitlines()}


@dataclass
class Measurement:
    values: tuple[float, ...]
    file: Path


def test_values_that_json_lacks_are_null_or_text(capfd):
    with reserve_stdout():
        print("a message")
        print_json({"a": Measurement((math.nan, 0.5, -math.inf), Path("x/y")), "é": 10**20})
    out, err = capfd.readouterr()
    assert json.loads(out) == {"a": {"values": [None, 0.5, None], "file": "x/y"}, "é": 10**20}
    assert err == "a message\n"
    print("later")
    assert capfd.readouterr().out == "later\n"
