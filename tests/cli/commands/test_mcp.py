"""Tests of `trainer mcp`: its tools answer as the commands do, and none of them runs code of a config."""

import json
import os
import sys

import pytest

import trainer
from trainer.cli.commands.mcp import build_server
from trainer.core.errors import UserError

anyio = pytest.importorskip("anyio", reason="the extra mcp is not installed")
mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
TOOLS = ["list", "describe", "check", "explain", "runs", "compare", "report"]


def call(target, tool, **arguments):
    """Call a tool; return whether it failed, and its text."""

    async def run():
        async with mcp.Client(target) as client:
            return await client.call_tool(tool, arguments)

    result = anyio.run(run)
    [content] = result.content
    return bool(result.is_error), content.text


def test_the_tools_are_listed_with_their_arguments(tmp_path):
    async def run():
        async with mcp.Client(build_server(tmp_path)) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in anyio.run(run)}
    assert [*tools] == TOOLS
    assert [name for name in TOOLS if not tools[name].annotations.read_only_hint] == ["report"]
    assert tools["check"].input_schema["required"] == ["overrides"]
    assert all(tool.description for tool in tools.values())


def test_a_tool_returns_the_json_of_its_command(tmp_path, command):
    failed, text = call(build_server(tmp_path), "list", groups=["model", "scheduler"])
    assert not failed
    assert text == command("list", "model", "scheduler", "--json").out


def test_an_error_of_the_user_is_an_error_of_the_tool(tmp_path):
    failed, text = call(build_server(tmp_path), "describe", name="model/cn")
    assert failed
    assert text.endswith("describe: there is no model 'cn'; did you mean 'cnn'?")


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("describe", {"name": "--help"}, "'--help': options, settings of Hydra and interpolations are not allowed"),
        ("check", {"overrides": ["hydra.searchpath=[pkg://a]"]}, "'hydra.searchpath=[pkg://a]': options, settings"),
        ("check", {"overrides": ["--config-dir=/"]}, "'--config-dir=/': options, settings"),
        ("explain", {"key": "tags", "overrides": ["tags=[${oc.env:TOKEN}]"]}, "'tags=[${oc.env:TOKEN}]': options"),
        ("report", {"directory": "../other"}, "'../other' is outside of"),
        ("report", {"directory": "link"}, "'link' is outside of"),
    ],
)
def test_values_that_could_run_code_or_read_secrets_are_refused(tool, arguments, message, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/link").symlink_to(tmp_path / "other")
    failed, text = call(build_server(tmp_path / "mine"), tool, **arguments)
    assert failed
    assert message in text


def test_a_tool_is_stopped_after_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.cli.commands.mcp.TIMEOUT_SECONDS", 0.5)  # the import of PyTorch takes longer
    failed, text = call(build_server(tmp_path), "check", overrides=["data=xor"])
    assert (failed, text) == (True, "Error executing tool check: check: stopped after 0 seconds")


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    with pytest.raises(UserError, match=r"^mcp: the package 'mcp' is missing; .*pip install .*\[mcp\]"):
        build_server(tmp_path)


def test_a_directory_that_does_not_exist_is_an_error(command):
    outcome = command("mcp", "nowhere")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.endswith("nowhere'\n")


@pytest.mark.slow
def test_all_tools_work_in_the_server_of_the_command(tmp_path, monkeypatch, restored_logging):
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        trainer.train("data=xor", "model=linear", "trainer.max_epochs=1", f"seed={seed}", f"hydra.run.dir=runs/{seed}")
    (tmp_path / "mine.py").write_text("import pathlib\n\npathlib.Path('imported').touch()\nNet = None\n")
    program = ["-m", "trainer", "mcp", str(tmp_path)]
    parameters = mcp.StdioServerParameters(command=sys.executable, args=program, env={**os.environ})

    async def run():
        async with mcp.Client(mcp.stdio_client(parameters)) as client:

            async def answer(tool, **arguments):
                result = await client.call_tool(tool, arguments)
                assert not result.is_error, result.content
                return json.loads(result.content[0].text)

            assert "mlp" in {option["name"] for option in (await answer("list"))["model"]}
            assert (await answer("describe", name="model/cnn"))["kinds"] == ["image"]
            assert (await answer("check", overrides=["data=xor"]))["ok"]
            own = await answer("check", overrides=["data=xor", "model.net._target_=mine.Net"])
            assert own["diagnostics"][0]["problem"] == "mine.Net: package is not declared as trusted"
            assert (await answer("explain", key="seed", overrides=["seed=3"]))["seed"]["value"] == 3
            assert [run["run"] for run in await answer("runs", filters=["runs"])] == ["runs/1", "runs/2"]
            comparison = await answer("compare", first="runs/1", second="runs/2")
            assert comparison["differences"] == {"config": {"seed": [1, 2], "data.seed": [1, 2]}}
            assert await answer("report", directory="runs/1") == {"files": ["runs/1/report.html"]}

    anyio.run(run)
    assert (tmp_path / "runs/1/report.html").is_file()
    assert not (tmp_path / "imported").exists()
