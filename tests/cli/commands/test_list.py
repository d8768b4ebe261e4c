"""Tests of `trainer list`."""

import json

import pytest


def test_each_choice_has_a_summary(command):
    lines = command("list").out.splitlines()
    assert "model=" in lines
    assert "  mlp           MLP: fully connected layers." in lines
    reached = lines[next(index for index, line in enumerate(lines) if line.startswith("  mnist_cnn ")) + 1]
    assert reached.strip().startswith("Reached: test accuracy 99.62 +- 0.03 %")
    assert not any(line != line.rstrip() for line in lines)


def test_in_a_narrow_terminal_one_group_is_wrapped_and_all_groups_are_cut_off(process):
    wrapped, cut = (process("list", *arguments, COLUMNS="40").out for arguments in (["model"], []))
    assert "LSTM: a recurrent" in wrapped
    assert "with LSTM, GRU or RNN cells." in " ".join(wrapped.split())
    assert max(map(len, wrapped.splitlines())) == 40
    assert "  lstm          LSTM: a recurrent netwo…\n" in cut


def test_a_users_files_are_marked(command, tmp_path):
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text("# Mine: a net.\nnet: {}\n")
    (tmp_path / "conf/model/silent.yaml").write_text("net: {}\n")
    out = command("list", "model").out
    assert "  mine          (yours: conf/model/mine.yaml) Mine: a net.\n" in out
    assert "(yours: conf/model/silent.yaml) no description: the file does not start with a comment" in out


def test_json_output(command):
    [mlp] = [item for item in json.loads(command("list", "model", "--json").out)["model"] if item["name"] == "mlp"]
    assert (mlp["summary"], mlp["user_defined"]) == ("MLP: fully connected layers.", False)
    assert mlp["file"].endswith("conf/model/mlp.yaml")
    everything = json.loads(command("list", "--json").out)
    assert all("metrics" in item for item in everything["experiment"])


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("modl", "error: there is no group 'modl'; did you mean 'model'?\n"),
        (
            "hydra/launcher",
            "error: 'hydra/launcher' is a group of Hydra; to print the settings of a launcher: "
            "trainer hydra/launcher=NAME --cfg hydra -p hydra.launcher\n",
        ),
        ("--jsn", "error: list: unrecognized arguments: --jsn; did you mean '--json'?  (see trainer list --help)\n"),
    ],
)
def test_errors_are_reported(argument, message, command):
    outcome = command("list", argument)
    assert (outcome.code, outcome.out, outcome.err) == (2 if "argument" in message else 1, "", message)
