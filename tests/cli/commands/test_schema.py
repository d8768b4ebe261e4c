"""Tests of `trainer schema` and its editor settings."""

import json

import pytest


def test_it_writes_a_schema_for_each_group_and_prints_how_to_use_them(command, tmp_path):
    outcome = command("schema")
    names = {file.stem for file in (tmp_path / "schemas").glob("*.json")}
    assert {"data", "model", "optimizer", "callbacks", "trainer", "experiment", "config", "debug", "local"} <= names
    assert outcome.out.startswith(f"{len(names)} schemas in schemas\n")
    assert "# yaml-language-server: $schema=../schemas/experiment.json\n" in outcome.out
    assert json.loads((tmp_path / "schemas/data.json").read_text())["title"] == "trainer: data"
    assert not (tmp_path / ".vscode").exists()


def test_vscode_settings_are_extended_and_other_settings_kept(command, tmp_path):
    (tmp_path / ".vscode").mkdir()
    settings = tmp_path / ".vscode/settings.json"
    settings.write_text('{"editor.tabSize": 2, "yaml.schemas": {"other.json": "*.yml"}}')
    for _ in range(2):
        assert command("schema", "elsewhere/here", "--vscode").code == 0
    content = json.loads(settings.read_text())
    assert content["editor.tabSize"] == 2
    assert content["yaml.schemas"]["other.json"] == "*.yml"
    assert content["yaml.schemas"]["./elsewhere/here/experiment.json"] == [
        "experiments/*.yaml",
        "conf/experiment/*.yaml",
    ]
    assert content["yaml.schemas"]["./elsewhere/here/model.json"] == ["conf/model/*.yaml"]
    assert all((tmp_path / name).is_file() for name in content["yaml.schemas"] if name != "other.json")


def test_settings_with_comments_are_not_changed(command, tmp_path):
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode/settings.json").write_text("{} // mine")
    outcome = command("schema", "--vscode")
    assert outcome.code == 1
    assert (
        '.vscode/settings.json contains comments or is not valid JSON; add this to it yourself:\n{\n  "yaml.schemas"'
        in outcome.err
    )
    assert (tmp_path / ".vscode/settings.json").read_text() == "{} // mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b"], "error: schema: unrecognized arguments: b  (see trainer schema --help)\n"),
        (["--vim"], "error: schema: unrecognized arguments: --vim"),
        (["file"], "error: schema: cannot write file: "),
    ],
)
def test_errors_are_reported(arguments, message, command, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = command("schema", *arguments)
    assert outcome.code == (2 if "argument" in message else 1)
    assert outcome.err.startswith(message)
