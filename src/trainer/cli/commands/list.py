"""Everything that can be chosen, with a line each.

trainer list [GROUP ...] [--json]

Without a group all groups, your own files in ./conf and ./experiments among them.
"""

from typing import Any

from trainer.config.introspection.group_options import Choice, choices, group_named
from trainer.config.introspection.rendering import listed, show, show_json
from trainer.core.errors import UserError


def main(words: list[str]) -> int:
    """Run the command with the words behind `list`; the exit status is 0."""
    names = [word for word in words if word != "--json"]
    if wrong := [name for name in names if name.startswith("-")]:
        raise UserError(f"list: there is no '{wrong[0]}'\n  trainer list [GROUP ...] [--json]")
    groups = {name: group_named(name) for name in names} if names else choices()
    if "--json" in words:
        show_json({group: [as_json(each) for each in members.values()] for group, members in groups.items()})
    else:
        show(*listed(groups, whole=bool(names)))
    return 0


def as_json(choice: Choice) -> dict[str, Any]:
    """A choice in plain values."""
    told = {"name": choice.name, "summary": choice.summary, "file": str(choice.file), "yours": choice.yours}
    return told | ({"reached": choice.claims["Reached"]} if "Reached" in choice.claims else {})
