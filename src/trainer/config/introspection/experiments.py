"""Choices and values that experiments and other global config files set."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from trainer.config.introspection.fields import Field, describe_nodes
from trainer.config.introspection.group_options import LIST_GROUPS, Choice, load_choices, parse_comments
from trainer.config.schema import RESOURCE_DIR

EXCLUDED_GROUPS = ("experiment", "hparams_search", "debug", "local")  # groups that an experiment does not choose


@dataclass(frozen=True)
class Setting:
    """Value that an experiment sets.

    Args:
        key: Dotted key.
        value: Value in the experiment.
        default: Value in the choice that the experiment changes; None if it is unknown.
        type: Type in plain words.
        doc: Description.
    """

    key: str
    value: Any
    default: Any
    type: str
    doc: str


@cache
def load_default_choices() -> dict[str, Any]:
    """Return the choices of `conf/config.yaml`: a name for each group, or a list of names."""
    defaults = OmegaConf.to_container(OmegaConf.load(RESOURCE_DIR / "conf/config.yaml"))["defaults"]  # type: ignore[index, call-overload]
    choices = {group: name for item in defaults if isinstance(item, dict) for group, name in item.items()}
    return {group: name for group, name in choices.items() if group.split()[-1] not in EXCLUDED_GROUPS}


@cache
def load_root_comments() -> dict[str, str]:
    """Return the comments of `conf/config.yaml` by dotted key."""
    return parse_comments((RESOURCE_DIR / "conf/config.yaml").read_text("utf-8"))


def get_overridden_choices(experiment: Choice) -> dict[str, Any]:
    """Return the choices in the defaults list of an experiment, by group."""
    return {
        str(key).split()[-1].partition("@")[0].lstrip("/"): name
        for item in experiment.content.get("defaults", [])
        if isinstance(item, dict)
        for key, name in item.items()
    }


def list_settings(experiment: Choice) -> list[Setting]:
    """Return the values that an experiment sets, with the values that they replace."""
    values = {name: value for name, value in experiment.content.items() if name != "defaults"}
    choices = load_default_choices() | get_overridden_choices(experiment)
    changed = {group: name for group, name in choices.items() if group in values}
    fields = {field.key.lstrip("+"): field for field in _iter_fields(changed, values)}
    settings = []
    for key, value in _flatten(values, fields):
        field = fields.get(key, Field(key, "", None, None, False, load_root_comments().get(key, "")))
        settings.append(Setting(key, value, field.default, field.type, field.doc))
    return settings


def _iter_fields(choices: dict[str, Any], values: dict[str, Any]) -> Iterator[Field]:
    groups = load_choices()
    for group, names in choices.items():
        for name in names if isinstance(names, list) else [names]:
            entries = (values[group] or {}) if group in LIST_GROUPS else None  # only the changed entries of a list
            for node in describe_nodes(groups[group][name], entries) if name in groups.get(group, {}) else ():
                yield from node.fields


def _flatten(node: dict[str, Any], fields: dict[str, Field], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; a mapping that is the value of a field is not flattened."""
    for name, value in node.items():
        key = f"{path}.{name}".strip(".")
        if isinstance(value, dict) and value and key not in fields:
            yield from _flatten(value, fields, key)
        else:
            yield key, value
