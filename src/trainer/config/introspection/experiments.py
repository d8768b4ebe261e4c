"""Recipes: files that change any key, as experiments and debug choices do; what they choose and what they set."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from trainer.config.introspection.fields import Field, parts_of
from trainer.config.introspection.group_options import LISTS, Choice, choices, comments_of
from trainer.config.schema import HOME

NOT_CHOSEN = ("experiment", "hparams_search", "debug", "local")  # groups that are no part of a recipe


@dataclass(frozen=True)
class Setting:
    """A value that a recipe sets.

    Args:
        key: Dotted.
        value: That it sets.
        default: Of the choice that it is set in; None where that is unknown.
        type: In a user's words.
        doc: What it is.
    """

    key: str
    value: Any
    default: Any
    type: str
    doc: str


@cache
def usual_choices() -> dict[str, Any]:
    """What `conf/config.yaml` chooses: a name for each group, or a list of names."""
    defaults = OmegaConf.to_container(OmegaConf.load(HOME / "conf/config.yaml"))["defaults"]  # type: ignore[index, call-overload]
    chosen = {group: name for each in defaults if isinstance(each, dict) for group, name in each.items()}
    return {group: name for group, name in chosen.items() if group.split()[-1] not in NOT_CHOSEN}


@cache
def said_at_top() -> dict[str, str]:
    """What the comments of `conf/config.yaml` say, by dotted key."""
    return comments_of((HOME / "conf/config.yaml").read_text("utf-8"))


def overridden(recipe: Choice) -> dict[str, Any]:
    """The choices that a recipe's defaults list makes, by group."""
    chosen = {}
    for each in recipe.content.get("defaults", []):
        for key, name in each.items() if isinstance(each, dict) else ():
            chosen[str(key).split()[-1].partition("@")[0].lstrip("/")] = name
    return chosen


def settings_of(recipe: Choice) -> list[Setting]:
    """The values that a recipe sets, beside those that they replace."""
    chosen = {group: name for group, name in (usual_choices() | overridden(recipe)).items() if group in recipe.content}
    known = {field.key.lstrip("+"): field for field in _fields_of(chosen, recipe.content)}
    settings = []
    for key, value in _flat({name: value for name, value in recipe.content.items() if name != "defaults"}, known):
        field = known.get(key, Field(key, "", None, None, said_at_top().get(key, "")))
        settings.append(Setting(key, value, field.default, field.type, field.doc))
    return settings


def _fields_of(chosen: dict[str, Any], content: dict[str, Any]) -> Iterator[Field]:
    groups = choices()
    for group, names in chosen.items():
        for name in names if isinstance(names, list) else [names]:
            entries = (content[group] or {}) if group in LISTS else None  # of many, few are changed
            for part in parts_of(groups[group][name], entries) if name in groups.get(group, {}) else ():
                yield from part.fields


def _flat(node: dict[str, Any], known: dict[str, Field], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; a mapping that is the value of one field stays whole."""
    for name, value in node.items():
        key = f"{path}.{name}".strip(".")
        if isinstance(value, dict) and value and key not in known:
            yield from _flat(value, known, key)
        else:
            yield key, value
