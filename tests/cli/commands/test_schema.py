"""`trainer schema`: files for editors, and how these are told of them."""

import json

import pytest


def test_it_writes_a_schema_for_each_group_and_says_how_to_use_them(command, tmp_path):
    outcome = command("schema")
    names = {file.stem for file in (tmp_path / "schemas").glob("*.json")}
    assert {"data", "model", "optimizer", "callbacks", "trainer", "experiment", "config", "debug", "local"} <= names
    assert outcome.out.startswith(f"{len(names)} schemas in schemas\n")
    assert "# yaml-language-server: $schema=../schemas/experiment.json\n" in outcome.out
    assert json.loads((tmp_path / "schemas/data.json").read_text())["title"] == "trainer: data"
    assert not (tmp_path / ".vscode").exists()


def test_vs_code_is_told_when_that_is_asked_for_and_keeps_its_other_settings(command, tmp_path):
    (tmp_path / ".vscode").mkdir()
    settings = tmp_path / ".vscode/settings.json"
    settings.write_text('{"editor.tabSize": 2, "yaml.schemas": {"other.json": "*.yml"}}')
    for _ in range(2):
        assert command("schema", "elsewhere/here", "--vscode").code == 0
    told = json.loads(settings.read_text())
    assert told["editor.tabSize"] == 2
    assert told["yaml.schemas"]["other.json"] == "*.yml"
    assert told["yaml.schemas"]["./elsewhere/here/experiment.json"] == ["experiments/*.yaml", "conf/experiment/*.yaml"]
    assert told["yaml.schemas"]["./elsewhere/here/model.json"] == ["conf/model/*.yaml"]
    assert all((tmp_path / name).is_file() for name in told["yaml.schemas"] if name != "other.json")


def test_settings_with_comments_are_left_as_they_are(command, tmp_path):
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode/settings.json").write_text("{} // mine")
    outcome = command("schema", "--vscode")
    assert outcome.code == 1
    assert (
        '.vscode/settings.json has comments, or is no JSON; write this into it yourself:\n{\n  "yaml.schemas"'
        in outcome.err
    )
    assert (tmp_path / ".vscode/settings.json").read_text() == "{} // mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b"], "error: schema: name one directory at most\n  trainer schema [DIR] [--vscode]\n"),
        (["--vim"], "error: schema: name one directory at most"),
        (["file"], "error: schema: cannot write file: "),
    ],
)
def test_a_mistake_is_told(words, message, command, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = command("schema", *words)
    assert outcome.code == 1
    assert outcome.err.startswith(message)
