"""YAML files that can be chosen on the command line, packaged or the user's, with their comments."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from trainer.config.schema import DATASETS_TARGET, RESOURCE_DIR, find_user_config_dirs, list_config_files
from trainer.core.errors import UserError, did_you_mean
from trainer.core.mappings import is_within

EXPERIMENT_GROUP = "experiment"
LIST_GROUPS = ("callbacks", "logger")  # groups with several choices at a time; their files contain named entries
MACHINE_COMMENT_PREFIXES = ("@package", "yaml-language-server:", "$schema:")  # comments for Hydra or an editor


@dataclass(frozen=True)
class Choice:
    """YAML file of `conf/GROUP/` or `experiments/`.

    Args:
        group: Group, such as `"model"`.
        name: Name within the group, such as `"cnn"`.
        file: Path of the file.
        is_user_defined: Whether the file is in the working directory instead of the package.
    """

    group: str
    name: str
    file: Path
    is_user_defined: bool

    @cached_property
    def text(self) -> str:
        """Content of the file."""
        return self.file.read_text("utf-8")

    @cached_property
    def summary(self) -> str:
        """First paragraph of the comment at the top of the file; "" if there is none."""
        return self._header_comment[0]

    @cached_property
    def metadata(self) -> dict[str, str]:
        """Values of `Source:`, `Command:`, `Reached:` etc. in the header comment of an experiment."""
        return dict(re.findall(r"^([A-Z]\w+): (.*)$", "\n".join(self._header_comment[1:]), flags=re.MULTILINE))

    @cached_property
    def _header_comment(self) -> list[str]:
        """First paragraph of the header comment, then its other lines with continuation lines joined."""
        paragraphs: list[str] = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                break
            text = line[1:].removeprefix(" ")
            if text.startswith(MACHINE_COMMENT_PREFIXES):
                continue
            is_first = len(paragraphs) == 1 and paragraphs[0] and text.strip()
            if paragraphs and paragraphs[-1] and (is_first or text.startswith("  ")):
                paragraphs[-1] += f" {text.strip()}"
            else:
                paragraphs.append(text.strip())
        return paragraphs or [""]

    @cached_property
    def is_global(self) -> bool:
        """True if its keys are root keys of the config instead of keys of its group."""
        return self.group == EXPERIMENT_GROUP or bool(re.search(r"^# @package _global_\s*$", self.text, re.MULTILINE))

    @cached_property
    def is_template(self) -> bool:
        """True if the user names a class of their own in it."""
        return self.is_readable and self.content.get("_target_") in ("???", DATASETS_TARGET)

    @cached_property
    def content(self) -> dict[str, Any]:
        """Values of the file with interpolations unresolved.

        Raises:
            UserError: The file is not valid YAML or not a mapping.
        """
        try:
            config = OmegaConf.load(self.file)
        except yaml.MarkedYAMLError as error:
            line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise UserError(f"{self.file}{line}: invalid YAML: {error.problem}") from None
        if not isinstance(config, DictConfig):
            raise UserError(f"{self.file}: not a mapping of keys and values")
        return {str(key): value for key, value in OmegaConf.to_container(config).items()}  # type: ignore[union-attr]

    @property
    def is_readable(self) -> bool:
        """True if the file is a valid YAML mapping."""
        try:
            return self.content is not None
        except UserError:
            return False


Group = dict[str, Choice]  # by name


def load_choices() -> dict[str, Group]:
    """Return the choices of every group; a packaged choice hides a user's choice of the same name."""
    groups: dict[str, Group] = {}
    for directory in [RESOURCE_DIR / "conf", RESOURCE_DIR / "experiments", *find_user_config_dirs()]:
        for file in list_config_files(directory):
            group = EXPERIMENT_GROUP if directory.name == "experiments" else file.parent.name
            choice = Choice(group, file.stem, file, is_user_defined=directory.parent != RESOURCE_DIR)
            groups.setdefault(group, {}).setdefault(file.stem, choice)
    return {group: dict(sorted(groups[group].items())) for group in sorted(groups)}


def get_group(name: str) -> Group:
    """Return the choices of a group.

    Raises:
        UserError: The group does not exist.
    """
    groups = load_choices()
    if is_within(name, ["hydra"]):
        command = "trainer hydra/launcher=NAME --cfg hydra -p hydra.launcher"
        raise UserError(f"'{name}' is a group of Hydra; to print the settings of a launcher: {command}")
    if name not in groups:
        raise UserError(f"there is no group '{name}'{did_you_mean(name, [*groups])}")
    return groups[name]


def get_choice(path: str) -> Choice:
    """Return the choice `model/cnn`, or `model=cnn`.

    Raises:
        UserError: The group or the choice does not exist.
    """
    group_name, _, name = path.replace("=", "/").removesuffix(".yaml").partition("/")
    group = get_group(group_name)
    if name not in group:
        raise UserError(f"there is no {group_name} '{name}'{did_you_mean(name, [*group])}")
    return group[name]


def format_choice_override(choice: Choice) -> str:
    """Return the override that selects a choice: `model=cnn`, `callbacks=[default,early_stopping]`."""
    default = load_choices()["callbacks"]["default"]
    if choice.group != default.group or choice.name in (default.name, "none"):
        return f"{choice.group}={choice.name}"
    return "callbacks=default" if choice.name in default.content["defaults"] else f"callbacks=[default,{choice.name}]"


def parse_comments(text: str) -> dict[str, str]:
    """Return the comments that follow the keys of a YAML file, by dotted key."""
    lines = text.splitlines()
    comments = {}

    def visit(node: yaml.Node | None, path: str) -> None:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            name = f"{path}.{key.value}".strip(".")
            nested = isinstance(value, yaml.CollectionNode) and not value.flow_style
            end = key.end_mark if nested else value.end_mark
            rest = lines[end.line][end.column :] if end.line < len(lines) else ""
            comment = re.match(r":?\s*#\s*(.*)", rest)
            if comment:
                comments[name] = comment[1].strip()
            visit(value, name)

    visit(yaml.compose(text), "")
    return comments
