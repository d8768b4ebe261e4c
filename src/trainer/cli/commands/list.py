"""List the config groups and their options with a one-line summary each.

trainer list [GROUP ...] [--json]

Without a group all groups are listed, including your own files in ./conf and ./experiments.
"""

from dataclasses import dataclass
from pathlib import Path

from trainer.cli.commands import parse_arguments
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.config.introspection.group_options import Choice, Group, get_group, load_choices
from trainer.config.introspection.rendering import print_renderables, render_groups


@dataclass(frozen=True)
class ListedOption:
    """Option of a config group.

    Args:
        name: Name within the group.
        summary: First paragraph of the comment at the top of the file; "" if there is none.
        file: YAML file.
        user_defined: Whether the file is in the working directory instead of the package.
        metrics: Measured result in the comment of an experiment; null if there is none.
    """

    name: str
    summary: str
    file: Path
    user_defined: bool
    metrics: str | None


JSON_OUTPUTS: JsonOutputs = {"list": (dict[str, list[ListedOption]], "Options by group.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("list", argv, "groups*", json=False)
    groups = {name: get_group(name) for name in args.groups} or load_choices()
    print_groups(groups, as_json=args.json, wrap=bool(args.groups))
    return 0


def print_groups(groups: dict[str, Group], *, as_json: bool, wrap: bool) -> None:
    """Print groups and their choices; long lines are wrapped or cut off."""
    if as_json:
        print_json({group: [list_choice(choice) for choice in choices.values()] for group, choices in groups.items()})
    else:
        print_renderables(*render_groups(groups, wrap=wrap))


def list_choice(choice: Choice) -> ListedOption:
    """Return the entry of a choice."""
    return ListedOption(
        choice.name, choice.summary, choice.file, choice.is_user_defined, choice.metadata.get("Reached")
    )
