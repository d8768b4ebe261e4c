"""Texts from environment variables, which are stored by name."""

import sys
from dataclasses import dataclass

import pytest
from omegaconf import OmegaConf

from trainer.config.environment_values import (
    explain_missing_variable,
    find_missing_variable,
    list_secrets,
    reads_only_environment,
    redact,
    resolve_for_storage,
)
from trainer.core.errors import UserError


@dataclass
class Settings:
    seed: int
    tags: list[str]


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    values = {"TOKEN": "s3cret", "NUMBER": "70001", "USER_LIST": "[s3cret, b]", "TRAINER_DATA_DIR": "/data"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.delenv("UNSET", raising=False)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("${oc.env:TOKEN}", "${oc.env:TOKEN}"),
        ("Bearer ${oc.env:TOKEN}!", "Bearer ${oc.env:TOKEN}!"),
        ("${oc.env:TOKEN,other}", "${oc.env:TOKEN,other}"),
        ("${oc.env:TOKEN,'a, b'}", "${oc.env:TOKEN,'a, b'}"),
        ("${oc.env:TOKEN,${oc.env:UNSET,${number}}}", "${oc.env:TOKEN,'3'}"),
        ("${oc.env:UNSET,${oc.env:TOKEN}}", "${oc.env:TOKEN}"),
        ("${token}-${number}", "${oc.env:TOKEN}-3"),
        ("${inner.list}", ["${oc.env:TOKEN}", 3]),
        ("${oc.select:token}", "${oc.env:TOKEN}"),
        ("${oc.decode:${oc.env:USER_LIST}}", "${oc.decode:${oc.env:USER_LIST}}"),
        ("${oc.decode:'[1, ${token}]'}", "${oc.decode:'[1, ${oc.env:TOKEN}]'}"),
        ("${by_user.${oc.env:TOKEN}}", "${by_user.${oc.env:TOKEN}}"),
        ("${oc.decode:${oc.env:NUMBER}}", 70001),
        ("${oc.env:UNSET,default}", "default"),
        ("${oc.env:UNSET,null}", None),
        ("${oc.env:TRAINER_DATA_DIR,.}/x", "/data/x"),
        ("${oc.env:WANDB_PROJECT,trainer}", "mine"),
        ("${number}", 3),
    ],
)
def test_a_text_is_stored_by_name_and_resolved_again(value, stored):
    others = {
        "number": 3,
        "token": "${oc.env:TOKEN}",
        "inner": {"list": ["${token}", "${number}"]},
        "by_user": {"s3cret": "x"},
    }
    config = OmegaConf.create({**others, "value": value})
    result = resolve_for_storage(config)
    assert result["value"] == stored
    assert "s3cret" not in str({**result, "by_user": None})
    assert OmegaConf.create(result).value == config.value
    assert config.token == "s3cret"  # the resolvers are those of OmegaConf again


def test_typed_numbers_are_values():
    config = OmegaConf.structured(Settings(seed="${oc.env:NUMBER}", tags=["${oc.env:TOKEN}"]))
    assert resolve_for_storage(config) == {"seed": 70001, "tags": ["${oc.env:TOKEN}"]}


def test_a_variable_that_is_not_set_is_an_error_with_its_key():
    with pytest.raises(UserError) as error:
        resolve_for_storage(OmegaConf.create({"net": {"token": "${oc.env:UNSET}"}}))
    assert str(error.value) == "net.token: the environment variable 'UNSET' is not set"
    config = {"_target_": "x.Y", "tokens": ["${oc.env:TOKEN}", "${oc.env:UNSET}"]}
    assert find_missing_variable(config, "net") == "net.tokens[1]: the environment variable 'UNSET' is not set"
    assert find_missing_variable({"token": "${oc.env:TOKEN}"}, "net") == ""
    assert explain_missing_variable(ValueError("another error")) == ""


@pytest.mark.parametrize(
    ("text", "is_environment"),
    [
        ("${oc.env:A}", True),
        ("a ${oc.env:A,b} ${oc.env:B,'c, d'}", True),
        ("${oc.env:A,${oc.env:B,c}}", True),
        ("${oc.decode:${oc.env:A}}", True),
        ("plain", True),
        ("${a}", False),
        ("${oc.env:${a}}", False),
        ("${oc.env:A} ${a}", False),
        ("${oc.env:A,${a}}", False),
        ("${oc.decode:'{_target_: os.system}'}", False),
        ("${oc.decode:${oc.env:A,'{_target_: os.system}'}}", False),
    ],
)
def test_other_interpolations_are_recognized(text, is_environment):
    assert reads_only_environment(text) == is_environment


def test_secrets_are_replaced_in_other_texts(monkeypatch):
    monkeypatch.setenv("SHORT", "abc")
    texts = ["a ${oc.env:TOKEN,b}", "${oc.env:NUMBER}", "${oc.env:SHORT}", "${oc.env:UNSET}"]
    secrets = list_secrets(OmegaConf.create({"inner": {"texts": texts}}))
    assert secrets == {"s3cret": "${oc.env:TOKEN}"}
    version = sys.version_info  # a named tuple
    values = {"token": "s3cret", "list": ["a s3cret b", 7], "pair": ("s3cret", None), "version": version}
    assert redact(values, secrets) == {
        "token": "${oc.env:TOKEN}",
        "list": ["a ${oc.env:TOKEN} b", 7],
        "pair": ("${oc.env:TOKEN}", None),
        "version": version,
    }
