"""Choices: the YAML files that may be named on the command line, ours and the user's, and what each says of itself."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from trainer.config.schema import HOME, YAML_FILES, user_folders
from trainer.core.errors import UserError, did_you_mean

EXPERIMENT = "experiment"
FOR_MACHINES = ("@package", "yaml-language-server:", "$schema:")  # comments that Hydra or an editor reads


@dataclass(frozen=True)
class Choice:
    """A YAML file of `conf/GROUP/` or of `experiments/`.

    Args:
        group: Such as `"model"`.
        name: Such as `"cnn"`.
        file: Where it is written.
        yours: Whether it is in the working directory and not ours.
    """

    group: str
    name: str
    file: Path
    yours: bool

    @cached_property
    def text(self) -> str:
        """The file."""
        return self.file.read_text("utf-8")

    @cached_property
    def summary(self) -> str:
        """The first paragraph of the comment that the file begins with; "" where there is none."""
        return self._opening[0]

    @cached_property
    def claims(self) -> dict[str, str]:
        """What an experiment's opening comment says under `Source:`, `Command:`, `Reached:` and the like."""
        return dict(re.findall(r"^([A-Z]\w+): (.*)$", "\n".join(self._opening[1:]), flags=re.MULTILINE))

    @cached_property
    def _opening(self) -> list[str]:
        """The opening comment: its first paragraph, then its other lines; what goes on in a further line is joined."""
        paragraphs: list[str] = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                break
            words = line[1:].removeprefix(" ")
            if words.startswith(FOR_MACHINES):
                continue
            first = len(paragraphs) == 1 and paragraphs[0] and words.strip()
            if paragraphs and paragraphs[-1] and (first or words.startswith("  ")):
                paragraphs[-1] += f" {words.strip()}"
            else:
                paragraphs.append(words.strip())
        return paragraphs or [""]

    @cached_property
    def is_global(self) -> bool:
        """Whether its keys are those at the top of a config, and not those of its group."""
        return self.group == EXPERIMENT or bool(re.search(r"^# @package _global_\s*$", self.text, re.MULTILINE))

    @cached_property
    def content(self) -> dict[str, Any]:
        """The file as values, references left as they are.

        Raises:
            UserError: It is no YAML, or no mapping.
        """
        try:
            config = OmegaConf.load(self.file)
        except yaml.MarkedYAMLError as error:
            line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise UserError(f"{self.file}{line}: not YAML: {error.problem}") from None
        if not isinstance(config, DictConfig):
            raise UserError(f"{self.file}: not a mapping of keys and values")
        return {str(key): value for key, value in OmegaConf.to_container(config).items()}  # type: ignore[union-attr]

    @property
    def is_readable(self) -> bool:
        """Whether the file is YAML with keys and values."""
        try:
            return self.content is not None
        except UserError:
            return False


LISTS = ("callbacks", "logger")  # groups of which several may be chosen; their files hold entries with names
Group = dict[str, Choice]  # by name


def choices() -> dict[str, Group]:
    """Every choice of every group, ours before the user's; one that ours hides is left out."""
    found: dict[str, Group] = {}
    for folder in [HOME / "conf", HOME / "experiments", *user_folders()]:
        experiments = folder.name == "experiments"
        for file in sorted(folder.glob(YAML_FILES if experiments else f"[!.]*/{YAML_FILES}")):
            group = EXPERIMENT if experiments else file.parent.name
            choice = Choice(group, file.stem, file, yours=folder.parent != HOME)
            found.setdefault(group, {}).setdefault(file.stem, choice)
    return {group: dict(sorted(found[group].items())) for group in sorted(found)}


def group_named(name: str) -> Group:
    """The choices of a group.

    Raises:
        UserError: There is no such group.
    """
    groups = choices()
    if name not in groups:
        raise UserError(f"there is no group '{name}'{did_you_mean(name, [*groups])}")
    return groups[name]


def choice_named(name: str) -> Choice:
    """The choice that `model/cnn`, or `model=cnn`, names.

    Raises:
        UserError: There is no such group, or no such choice in it.
    """
    group, _, own_name = name.replace("=", "/").partition("/")
    own_name = own_name.removesuffix(".yaml")
    there = group_named(group)
    if own_name not in there:
        raise UserError(f"there is no {group} '{own_name}'{did_you_mean(own_name, [*there])}")
    return there[own_name]


def word_of(choice: Choice) -> str:
    """What one types to choose it: `model=cnn`, `callbacks=[default,early_stopping]`."""
    usual = choices()["callbacks"]["default"]
    if choice.group != usual.group or choice.name in (usual.name, "none"):
        return f"{choice.group}={choice.name}"
    return "callbacks=default" if choice.name in usual.content["defaults"] else f"callbacks=[default,{choice.name}]"


def comments_of(text: str) -> dict[str, str]:
    """What the comment behind each key of a YAML file says, by dotted key."""
    lines, comments = text.splitlines(), {}

    def look(node: yaml.Node | None, path: str) -> None:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            name = f"{path}.{key.value}".strip(".")
            nested = isinstance(value, yaml.CollectionNode) and not value.flow_style
            end = key.end_mark if nested else value.end_mark
            rest = lines[end.line][end.column :] if end.line < len(lines) else ""
            comment = re.match(r":?\s*#\s*(.*)", rest)
            if comment:
                comments[name] = comment[1].strip()
            look(value, name)

    look(yaml.compose(text), "")
    return comments
