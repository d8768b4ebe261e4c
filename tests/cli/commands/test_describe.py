"""Tests of `trainer describe`."""

import json

import pytest


def test_a_model_is_described_with_its_fields_and_compatible_data(command):
    out = command("describe", "model/cnn").out
    assert "choose it     trainer model=cnn\n" in out
    data = "data=cifar10 data=digits data=emnist data=fashion_mnist data=image_folder data=kmnist data=mnist"
    assert f"goes with     {data}\nperhaps with  data=arrays\n" in out
    assert "The run adds: spec.\n" in out
    field = "  model.net.hidden=[128]   list of int\n      Widths of the fully connected layers between the blocks and"
    assert field in out
    assert "  model.net.activation=relu   relu | leaky_relu | elu | gelu | sigmoid | tanh\n" in out


def test_printed_fields_are_valid_overrides(command):
    """Compose a config from every printed key and value."""
    out = command("describe", "data/mnist").out
    arguments = [line.split("   ")[0].strip() for line in out.splitlines() if line.startswith(("  data.", "  +data."))]
    assert "data.val_size=5000" in arguments
    outcome = command("data=mnist", *(override for override in arguments if "$" not in override), "--cfg", "job")
    assert outcome.code == 0, outcome.err


def test_an_experiment_is_described_with_results_choices_and_values(command):
    out = command("describe", "experiment/mnist_cnn").out
    assert "Reached               test accuracy 99.62 +- 0.03 % (seeds 1 to 3), 166 s each on 2 cores\n" in out
    assert "data=mnist  model=cnn  optimizer=adamw  scheduler=onecycle\n" in out
    assert "  model.net.channels=[32,64,128]   without it: [32,64]\n" in out


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("callbacks/early_stopping", "callbacks=[default,early_stopping]"),
        ("callbacks/checkpoint", "callbacks=default"),
        ("callbacks/none", "callbacks=none"),
        ("logger/csv", "logger=csv"),
        ("experiment/xor_mlp", "experiment=xor_mlp"),
    ],
)
def test_the_override_of_a_choice_is_printed(name, override, command):
    assert json.loads(command("describe", name, "--json").out)["choose"] == override
    assert command(override, "--cfg", "job").code == 0


def test_any_class_can_be_described(command, tmp_path):
    assert "  alpha=0.99   float\n      smoothing constant" in command("describe", "torch.optim.RMSprop").out
    (tmp_path / "my_code.py").write_text(
        "raise SystemExit('imported')\nclass Net:\n    def __init__(self, width=3): ...\n"
    )
    assert "  width=3\n" in command("describe", "my_code.Net").out


def test_a_group_is_listed(command):
    assert command("describe", "model").out == command("list", "model").out


def test_json_output(command):
    facts = json.loads(command("describe", "model=cnn", "--json").out)
    assert {*facts} == {
        *(
            "name",
            "summary",
            "choose",
            "file",
            "user_defined",
            "claims",
            "parts",
            "chooses",
            "settings",
            "kinds",
            "compatible_with",
            "unknown",
        ),
    }
    assert (facts["name"], facts["kinds"], facts["unknown"]) == ("model/cnn", ["image"], ["arrays"])
    assert facts["compatible_with"] == [
        "cifar10",
        "digits",
        "emnist",
        "fashion_mnist",
        "image_folder",
        "kmnist",
        "mnist",
    ]
    field = facts["parts"][1]["fields"][0]
    assert {*field} == {"key", "type", "default", "allowed", "packaged", "doc"}
    assert (field["key"], field["type"], field["default"]) == ("model.net.channels", "list of int", [32, 64])
    experiment = json.loads(command("describe", "experiment/mnist_cnn", "--json").out)
    assert experiment["chooses"]["model"] == "cnn"
    assert {*experiment["settings"][0]} == {"key", "value", "default", "type", "doc"}
    assert json.loads(command("describe", "torch.optim.SGD", "--json").out)["fields"][1]["key"] == "lr"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "describe: the following arguments are required: name  (see trainer describe --help)\n"),
        (["model/cnn", "model/mlp"], "describe: unrecognized arguments: model/mlp"),
        (["modl/cnn"], "there is no group 'modl'; did you mean 'model'?"),
        (["modl"], "there is no group 'modl'; did you mean 'model'?"),
        (["model/cn"], "there is no model 'cn'; did you mean 'cnn'?"),
        (
            ["model.net.hidden"],
            "describe: 'model.net.hidden' is a key; name an option that has it, such as model/attention",
        ),
        (["torch.optim.Adm"], "'torch.optim.Adm' is no class or function in a Python file; did you mean 'Adam'"),
        (["data/broken"], "/conf/data/broken.yaml, line 2: invalid YAML: "),
        (["data/list"], "/conf/data/list.yaml: not a mapping of keys and values"),
    ],
)
def test_errors_are_reported(arguments, message, command, tmp_path):
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/broken.yaml").write_text("a: [1\n")
    (tmp_path / "conf/data/list.yaml").write_text("- 1\n")
    outcome = command("describe", *arguments)
    assert (outcome.code, outcome.out) == (2 if "argument" in message else 1, "")
    assert outcome.err.startswith("error: ")
    assert message in outcome.err


def test_an_invalid_user_file_does_not_affect_other_choices(command, tmp_path):
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/broken.yaml").write_text("a: [1\n")
    assert "perhaps with  data=arrays data=broken\n" in command("describe", "model/cnn").out
