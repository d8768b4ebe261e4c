"""Signatures of configs: valid only for the same user, directory, nodes and files."""

import os
import stat
from pathlib import Path

import pytest

from trainer.artifacts.config_signature import (
    is_code_signed,
    is_command_signed,
    is_signed,
    sign_code,
    sign_command,
    sign_config,
)

CONFIG = {
    "data": {"_target_": "my_code.Data", "files": ["a", "b"]},
    "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.1},
    "callbacks": [{"_target_": "other.Callback", "inner": {"_target_": "builtins.print"}}],
}
CODE = {"my_code.py": "0123456789abcdef"}


@pytest.fixture(autouse=True)
def key_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/trainer"


def check(config=CONFIG, code=CODE, directory=None, **record):
    signed = {"code": CODE, "signature": sign_config(CONFIG, CODE)}
    return is_signed(config, signed | {"code": code} | record, directory or Path.cwd())


def test_the_same_config_in_the_same_directory_is_signed():
    assert check()
    assert check(config=CONFIG | {"optimizer": {"_target_": "torch.optim.Adam", "lr": 1.0}, "seed": 3})
    assert check(directory=Path("."))


@pytest.mark.parametrize(
    "config",
    [
        CONFIG | {"data": {"_target_": "my_code.os.system", "files": ["a", "b"]}},
        CONFIG | {"data": {"_target_": "my_code.Data", "files": ["a", "c"]}},
        CONFIG | {"data": {"_target_": "my_code.Data", "files": ["a", "b"], "more": {"_target_": "os.system"}}},
        CONFIG | {"optimizer": {"_target_": "my_code.Adam"}},
        CONFIG | {"callbacks": [CONFIG["callbacks"][0] | {"inner": {"_target_": "builtins.eval"}}]},
        CONFIG | {"model": CONFIG["data"], "data": CONFIG["data"]},
        {"optimizer": CONFIG["optimizer"]},
    ],
)
def test_other_code_or_other_arguments_of_it_are_not_signed(config):
    assert not check(config=config)


def test_a_node_with_dots_in_its_key_is_not_taken_for_another_one():
    config = {"callbacks": {"a": {"b": CONFIG["data"]}}}
    signed = {"code": CODE, "signature": sign_config(config, CODE)}
    assert is_signed(config, signed, Path.cwd())
    assert not is_signed({"callbacks": {"a.b": {"_target_": "os.system"}, **config["callbacks"]}}, signed, Path.cwd())
    for key in ("", "x[0]", "[", "."):
        unusual = {"tags": {key: {"_target_": "my_code.Data"}}}
        assert is_signed(unusual, {"code": CODE, "signature": sign_config(unusual, CODE)}, Path.cwd())


def test_other_files_directories_and_records_are_not_signed(tmp_path):
    assert not check(code={"my_code.py": "f" * 16})
    assert not check(directory=tmp_path / "elsewhere")
    assert not is_signed(CONFIG, {"code": CODE}, Path.cwd())
    assert not is_signed(CONFIG, {"code": CODE, "signature": 3}, Path.cwd())
    assert not is_signed(CONFIG, {"code": CODE, "signature": "ü"}, Path.cwd())
    record = {"code": CODE, "signature": sign_config(CONFIG, CODE), "directory": str(tmp_path / "elsewhere")}
    assert not is_signed(CONFIG, record, Path.cwd())


def test_the_key_of_another_user_is_another_one(monkeypatch, tmp_path):
    record = {"code": CODE, "signature": sign_config(CONFIG, CODE)}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert not is_signed(CONFIG, record, Path.cwd())  # without a key
    assert sign_config(CONFIG, CODE) != record["signature"]
    assert not is_signed(CONFIG, record, Path.cwd())


def test_the_key_is_private_and_created_once(key_directory):
    first = sign_config(CONFIG, CODE)
    [file] = key_directory.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sign_config(CONFIG, CODE) == first


def test_an_invalid_key_signs_nothing(key_directory):
    record = {"code": CODE, "signature": sign_config(CONFIG, CODE)}
    (key_directory / "signature_key").write_bytes(b"")
    assert not is_signed(CONFIG, record, Path.cwd())
    assert sign_config(CONFIG, CODE) is None


def test_the_signature_of_a_config_without_own_code_holds_for_no_own_code():
    signed = {"code": CODE, "signature": sign_config({"optimizer": CONFIG["optimizer"]}, CODE)}
    assert is_signed({"optimizer": CONFIG["optimizer"]}, signed, Path.cwd())
    assert not is_signed(CONFIG, signed, Path.cwd())
    assert not is_signed({"optimizer": {"lr": "${oc.env:TOKEN}"}}, signed, Path.cwd())


def test_the_signature_of_code_covers_directory_commits_changes_and_files():
    start = {"directory": "/a", "git": [{"root": "/r", "commit": "12", "branch": "main"}], "code": CODE}
    signed = start | {"code_signature": sign_code(start, "diff")}
    assert is_code_signed(signed, "diff")
    assert is_code_signed(signed | {"command": "trainer"}, "diff")
    others = [{"directory": "/b"}, {"git": []}, {"git": [{"root": "/r", "commit": "13"}]}, {"code": {}}]
    assert not any(is_code_signed(signed | other, "diff") for other in others)
    assert not is_code_signed(signed, "diff\n+evil")
    assert not is_code_signed(start, "diff")


def test_the_signature_of_a_command_covers_its_overrides_and_its_directory():
    signature = sign_command(["a=1"], Path("/a"))
    assert is_command_signed(["a=1"], Path("/a"), signature)
    assert not is_command_signed(["a=1", "b=2"], Path("/a"), signature)
    assert not is_command_signed(["a=1"], Path("/b"), signature)
    assert not is_command_signed(["a=1"], Path("/a"), None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_without_a_writable_directory_nothing_is_signed(key_directory):
    key_directory.parent.mkdir(mode=0o500)
    assert sign_config(CONFIG, CODE) is None


def test_the_key_is_created_on_a_file_system_without_hard_links(key_directory, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("not supported")))
    first = sign_config(CONFIG, CODE)
    assert [file.name for file in key_directory.iterdir()] == ["signature_key"]
    assert sign_config(CONFIG, CODE) == first
