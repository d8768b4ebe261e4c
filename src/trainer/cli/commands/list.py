"""List the config groups and their options with a one-line summary each.

trainer list [GROUP ...] [--json]

Without a group all groups are listed, including your own files in ./conf and ./experiments.
"""

from typing import Any

from trainer.cli.commands import parse_arguments
from trainer.config.introspection.group_options import Choice, Group, get_group, load_choices
from trainer.config.introspection.rendering import print_json, print_renderables, render_groups


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("list", argv, "groups*", json=False)
    groups = {name: get_group(name) for name in args.groups} or load_choices()
    print_groups(groups, as_json=args.json, wrap=bool(args.groups))
    return 0


def print_groups(groups: dict[str, Group], *, as_json: bool, wrap: bool) -> None:
    """Print groups and their choices; long lines are wrapped or cut off."""
    if as_json:
        print_json(
            {group: [choice_to_dict(choice) for choice in choices.values()] for group, choices in groups.items()}
        )
    else:
        print_renderables(*render_groups(groups, wrap=wrap))


def choice_to_dict(choice: Choice) -> dict[str, Any]:
    """Return a choice as plain values."""
    facts = {
        "name": choice.name,
        "summary": choice.summary,
        "file": str(choice.file),
        "user_defined": choice.is_user_defined,
    }
    return facts | ({"metrics": choice.metadata["Reached"]} if "Reached" in choice.metadata else {})
