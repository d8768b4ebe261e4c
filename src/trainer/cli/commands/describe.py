"""Describe the fields of a config option, and its compatible options.

trainer describe GROUP/CHOICE [--json]       e.g. model/cnn, data/mnist, callbacks/early_stopping, experiment/mnist_cnn
trainer describe GROUP                       its options
trainer describe DOTTED.PATH [--json]        any class or function: torch.optim.RMSprop, my_code.Net

A key with a leading + is an argument that the file does not list; its override is typed with the +.
"""

from dataclasses import asdict
from typing import Any

from trainer.cli.commands import parse_arguments
from trainer.cli.commands.list import print_groups
from trainer.config.introspection.compatibility import find_compatible, find_kinds
from trainer.config.introspection.experiments import get_overridden_choices, list_settings
from trainer.config.introspection.fields import describe_nodes, describe_target
from trainer.config.introspection.group_options import (
    Choice,
    format_choice_override,
    get_choice,
    get_group,
    load_choices,
)
from trainer.config.introspection.rendering import (
    MISSING_SUMMARY,
    format_override_value,
    print_json,
    print_renderables,
    render_header,
    render_node,
    render_settings,
)
from trainer.core.errors import UserError, display_path

COUNTERPART_GROUPS = {"model": "data", "data": "model"}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("describe", argv, "name", json=False)
    group, dot, _ = args.name.partition(".")
    if dot and group in load_choices():
        example = f"{group}/{next(iter(load_choices()[group]))}"
        raise UserError(f"describe: '{args.name}' is a key; name an option that has it, such as {example}")
    if "/" in args.name or "=" in args.name:
        describe_choice(get_choice(args.name), as_json=args.json)
    elif not dot:
        print_groups({args.name: get_group(args.name)}, as_json=args.json, wrap=True)
    elif args.json:
        print_json(describe_target(args.name).as_json())
    else:
        print_renderables(render_node(describe_target(args.name)))
    return 0


def describe_choice(choice: Choice, *, as_json: bool) -> None:
    """Print a choice and its fields."""
    override = format_choice_override(choice)
    multirun = "-m " if choice.group == "hparams_search" else ""
    facts: dict[str, Any] = {
        "name": f"{choice.group}/{choice.name}",
        "summary": choice.summary,
        "choose": override,
        "file": str(choice.file),
        "user_defined": choice.is_user_defined,
        "claims": choice.metadata,
    }
    rows = {
        facts["name"]: choice.summary or MISSING_SUMMARY,
        "choose it": f"trainer '{override}'" if "[" in override else f"trainer {multirun}{override}",
        "file": display_path(choice.file) + ("  (yours)" if choice.is_user_defined else ""),
        **choice.metadata,
    }
    if choice.group == "local":  # applies to every run
        del rows["choose it"]
    if choice.is_global:
        choices = get_overridden_choices(choice)
        settings = list_settings(choice)
        facts |= {"chooses": choices, "settings": [asdict(setting) for setting in settings]}
        rows["chooses"] = "  ".join(f"{group}={format_override_value(name)}" for group, name in choices.items())
        body = [render_settings(settings)]
    else:
        nodes = describe_nodes(choice)
        facts["parts"] = [node.as_json() for node in nodes]
        body = [render_node(node) for node in nodes]
    if choice.group in COUNTERPART_GROUPS:
        other = COUNTERPART_GROUPS[choice.group]
        kinds = find_kinds(choice)
        compatible, unknown = find_compatible(choice, [*load_choices()[other].values()])
        facts |= {"kinds": kinds, "compatible_with": compatible, "unknown": unknown}
        rows["reads" if choice.group == "model" else "provides"] = " or ".join(kinds or ["unknown"])
        rows["goes with"] = " ".join(f"{other}={name}" for name in compatible)
        rows["perhaps with"] = " ".join(f"{other}={name}" for name in unknown)
    if as_json:
        print_json(facts)
    else:
        print_renderables(render_header(rows), *body)
