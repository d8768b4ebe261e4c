"""`trainer describe`: what can be set in a choice."""

import json

import pytest


def test_a_model_is_told_with_its_fields_and_the_data_that_it_takes(command):
    out = command("describe", "model/cnn").out
    assert "choose it  trainer model=cnn\n" in out
    assert "goes with  data=cifar10 data=digits data=image_folder data=mnist\n" in out
    assert "The run adds: spec.\n" in out
    field = "  model.net.hidden=[128]   list of int\n      Widths of the fully connected layers between the blocks and"
    assert field in out
    assert "  model.net.activation=relu   relu | leaky_relu | elu | gelu | sigmoid | tanh\n" in out


def test_what_is_shown_can_be_typed(command):
    """Every key and value of the page, put on a command line, composes."""
    out = command("describe", "data/mnist").out
    words = [line.split("   ")[0].strip() for line in out.splitlines() if line.startswith(("  data.", "  +data."))]
    assert "data.val_size=5000" in words
    outcome = command("data=mnist", *(word for word in words if "$" not in word), "--cfg", "job")
    assert outcome.code == 0, outcome.err


def test_an_experiment_is_told_with_its_claims_choices_and_values(command):
    out = command("describe", "experiment/mnist_cnn").out
    assert "Reached               test accuracy 99.62 +- 0.03 % (seeds 1 to 3), 166 s each on 2 cores\n" in out
    assert "data=mnist  model=cnn  optimizer=adamw  scheduler=onecycle\n" in out
    assert "  model.net.channels=[32,64,128]   without it: [32,64]\n" in out


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("callbacks/early_stopping", "callbacks=[default,early_stopping]"),
        ("callbacks/checkpoint", "callbacks=default"),
        ("callbacks/none", "callbacks=none"),
        ("logger/csv", "logger=csv"),
        ("experiment/xor_mlp", "experiment=xor_mlp"),
    ],
)
def test_it_says_how_a_choice_is_chosen(name, word, command):
    assert json.loads(command("describe", name, "--json").out)["choose"] == word
    assert command(word, "--cfg", "job").code == 0


def test_any_class_can_be_described(command, tmp_path):
    assert "  alpha=0.99   float\n      smoothing constant" in command("describe", "torch.optim.RMSprop").out
    (tmp_path / "my_code.py").write_text(
        "raise SystemExit('imported')\nclass Net:\n    def __init__(self, width=3): ...\n"
    )
    assert "  width=3\n" in command("describe", "my_code.Net").out


def test_a_group_is_listed(command):
    assert command("describe", "model").out == command("list", "model").out


def test_programs_get_json(command):
    told = json.loads(command("describe", "model=cnn", "--json").out)
    assert {*told} == {
        *("name", "summary", "choose", "file", "yours", "claims", "parts", "kinds", "goes_with", "unknown"),
    }
    assert (told["name"], told["kinds"], told["unknown"]) == ("model/cnn", ["image"], [])
    assert told["goes_with"] == ["cifar10", "digits", "image_folder", "mnist"]
    field = told["parts"][1]["fields"][0]
    assert {*field} == {"key", "type", "default", "allowed", "doc"}
    assert (field["key"], field["type"], field["default"]) == ("model.net.channels", "list of int", [32, 64])
    experiment = json.loads(command("describe", "experiment/mnist_cnn", "--json").out)
    assert experiment["chooses"]["model"] == "cnn"
    assert {*experiment["settings"][0]} == {"key", "value", "default", "type", "doc"}
    assert json.loads(command("describe", "torch.optim.SGD", "--json").out)["fields"][1]["key"] == "lr"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "describe: name one thing\n  trainer describe GROUP/CHOICE|GROUP|DOTTED.PATH [--json]"),
        (["model/cnn", "model/mlp"], "describe: name one thing"),
        (["modl/cnn"], "there is no group 'modl'; did you mean 'model'?"),
        (["modl"], "there is no group 'modl'; did you mean 'model'?"),
        (["model/cn"], "there is no model 'cn'; did you mean 'cnn'?"),
        (
            ["model.net.hidden"],
            "describe: 'model.net.hidden' is a key; name the choice that has it, such as model/attention",
        ),
        (["torch.optim.Adm"], "'torch.optim.Adm' is no class or function in a Python file; did you mean 'Adam'"),
        (["data/broken"], "/conf/data/broken.yaml, line 2: not YAML: "),
        (["data/list"], "/conf/data/list.yaml: not a mapping of keys and values"),
    ],
)
def test_a_mistake_is_told(words, message, command, tmp_path):
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/broken.yaml").write_text("a: [1\n")
    (tmp_path / "conf/data/list.yaml").write_text("- 1\n")
    outcome = command("describe", *words)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: ")
    assert message in outcome.err


def test_somebodys_broken_file_does_not_keep_others_from_being_described(command, tmp_path):
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/broken.yaml").write_text("a: [1\n")
    assert "perhaps with  data=broken\n" in command("describe", "model/cnn").out
