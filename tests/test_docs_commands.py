"""Commands of the documentation and of the help texts: quotes, names, arguments and values."""

import re
import runpy
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from trainer.cli.commands import is_command, list_commands
from trainer.config.command_line import parse_command_line
from trainer.config.compose import Composer
from trainer.config.introspection.group_options import load_choices
from trainer.config.schema import ROOT_KEYS
from trainer.core.errors import UserError

DOCUMENTATION = runpy.run_path(str(Path(__file__).with_name("documentation.py")))
ROOT, PAGES = DOCUMENTATION["ROOT"], DOCUMENTATION["PAGES"]
FILES = [*PAGES, *DOCUMENTATION["HELP_FILES"]]
# words of a usage line, which stand for something that the user types
PLACEHOLDER = re.compile(r"\.\.\.|\b(?:[A-Z]{2,}_?)+\b|/\.\.\.|…|<|\$\(")
# commands that are mentioned in the text without their arguments
MENTIONED = [*([name] for name in list_commands()), *(["sweep", name] for name in ("plan", "show", "resume", "report"))]


def list_all_commands(file):
    if file.suffix == ".py":
        return [*DOCUMENTATION["list_help_commands"](file)]
    return DOCUMENTATION["list_commands"](file)


def list_trainer_arguments(file):
    """Return the arguments of each command `trainer` that contains no placeholder, with its location."""
    found = []
    for location, text in list_all_commands(file):
        command = DOCUMENTATION["strip_comment"](text)
        words = shlex.split(re.sub(r"^(?:\w+=\S+ )+(?=trainer )", "", command))  # without environment variables
        for separator in ("&&", "||", "|", ">", ";", "&"):
            words = words[: words.index(separator)] if separator in words else words
        if words[:1] == ["trainer"] and not PLACEHOLDER.search(command):
            found.append((location, words[1:]))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_commands_are_the_same_in_bash_and_zsh(file):
    unquoted = {
        f"{location}: {text}": characters
        for location, text in list_all_commands(file)
        if (characters := DOCUMENTATION["find_unquoted"](text))
    }
    assert unquoted == {}


@pytest.mark.parametrize(
    ("command", "characters"),
    [
        ("trainer model.net.hidden=[4],[8]", ["[", "["]),
        ("trainer 'model.net.hidden=[4],[8]' seed=1,2 # [a]", []),
        ('trainer data.path="my data?.csv" ~callbacks.ema', ["~"]),
        ("trainer -m experiment=*_mlp 'a^b' x^2", ["*", "^"]),
        ("trainer data.path=~/data.csv 'seed=range(1,3)'", []),
        ("a=(1 2)", ["=("]),
    ],
)
def test_unquoted_characters_are_found(command, characters):
    found = DOCUMENTATION["find_unquoted"](command)
    assert ["=(" if item == "=" else item for item in found] == characters


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_copied_without_a_prompt(page):
    blocks = DOCUMENTATION["read_blocks"](page)
    assert [block.line for block in blocks if block.language == "console" or re.search(r"^\$ ", block.text, re.M)] == []


# the commands of errors.md are invalid; test_docs.py runs them
@pytest.mark.parametrize("file", [file for file in FILES if file.name != "errors.md"], ids=lambda file: file.name)
def test_commands_and_their_arguments_exist(file, monkeypatch):
    keys = {*ROOT_KEYS, *load_choices(), "hydra"}
    problems = []
    for location, words in list_trainer_arguments(file):
        name = words[0] if words else ""
        if words in MENTIONED or "-sc" in words:
            continue
        try:
            if is_command(name):
                overrides = parse_subcommand(name, words[1:], monkeypatch)
            else:
                overrides = parse_command_line(
                    [word for word in words if word not in ("--plan", "--help", "--version")]
                )
                overrides = overrides.overrides
            for override in parser().parse_overrides(overrides):
                if re.split(r"[./@]", override.key_or_group)[0] not in keys:
                    problems.append(f"{location}: no key {override.key_or_group}")
        except (UserError, HydraException, SystemExit) as error:
            problems.append(f"{location}: {words}: {error}")
    assert problems == []


@pytest.mark.slow
@pytest.mark.parametrize("file", [file for file in FILES if file.name != "errors.md"], ids=lambda file: file.name)
def test_configs_of_commands_can_be_composed(file):
    composer = Composer()
    problems = []
    for location, words in list_trainer_arguments(file):
        if is_command(words[0] if words else "") or "-sc" in words:
            continue
        overrides = parse_command_line([word for word in words if word not in ("--plan", "--help", "--version")])
        diagnostics = composer.compose_tolerant(composer.select_shared(overrides.overrides))[2]
        # options that the reader writes; test_docs.py checks the names of options
        problems += [
            f"{location}: {item}"
            for item in diagnostics
            if not re.match("there is no '|In 'config'|provider=", item.problem)
        ]
    assert problems == []


@cache
def parser():
    """Return Hydra's parser of overrides."""
    return OverridesParser.create(config_loader=Composer().loader)


class ParsedError(Exception):
    """Raised after the arguments of a command were parsed, before it does anything."""


def parse_subcommand(name, argv, monkeypatch):
    """Parse the arguments of a command as it does itself, and return the overrides among them."""
    if name == "check" or (name == "sweep" and argv[0] == "plan"):
        return parse_command_line([word for word in argv if word not in ("--json", "--trusted-only", "plan")]).overrides
    module = import_module(f"trainer.cli.commands.{name}")
    original = module.parse_arguments
    parsed = []

    def parse_only(*args, **kwargs):
        parsed.append(original(*args, **kwargs))
        raise ParsedError

    monkeypatch.setattr(module, "parse_arguments", parse_only)
    with pytest.raises(ParsedError):
        module.main(argv)
    monkeypatch.undo()
    return getattr(parsed[0], "overrides", [])
