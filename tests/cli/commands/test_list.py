"""`trainer list`: what can be chosen."""

import json

import pytest


def test_it_says_what_each_choice_is(command):
    lines = command("list").out.splitlines()
    assert "model=" in lines
    assert "  mlp        MLP: fully connected layers." in lines
    reached = lines[next(place for place, line in enumerate(lines) if line.startswith("  mnist_cnn ")) + 1]
    assert reached.strip().startswith("Reached: test accuracy 99.62 +- 0.03 %")
    assert not any(line != line.rstrip() for line in lines)


def test_in_a_narrow_terminal_a_group_is_listed_whole_and_all_groups_in_a_line_each(process):
    whole, cut = (process("list", *words, COLUMNS="40").out for words in (["model"], []))
    assert "LSTM: a recurrent network" in whole
    assert "as well." in whole
    assert max(map(len, whole.splitlines())) == 40
    assert "  lstm       LSTM: a recurrent network …\n" in cut


def test_a_users_files_are_marked(command, tmp_path):
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text("# Mine: a net.\nnet: {}\n")
    (tmp_path / "conf/model/silent.yaml").write_text("net: {}\n")
    out = command("list", "model").out
    assert "  mine       (yours: conf/model/mine.yaml) Mine: a net.\n" in out
    assert "(yours: conf/model/silent.yaml) its file does not begin with a comment that says what it is" in out


def test_programs_get_json(command):
    [mlp] = [each for each in json.loads(command("list", "model", "--json").out)["model"] if each["name"] == "mlp"]
    assert (mlp["summary"], mlp["yours"]) == ("MLP: fully connected layers.", False)
    assert mlp["file"].endswith("conf/model/mlp.yaml")
    everything = json.loads(command("list", "--json").out)
    assert all("reached" in each for each in everything["experiment"])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("modl", "error: there is no group 'modl'; did you mean 'model'?\n"),
        ("--jsn", "error: list: there is no '--jsn'\n  trainer list [GROUP ...] [--json]\n"),
    ],
)
def test_a_mistake_is_told(word, message, command):
    outcome = command("list", word)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", message)
