"""Describe the fields of a config option, and its compatible options.

trainer describe GROUP/CHOICE [--json]       e.g. model/cnn, data/mnist, callbacks/early_stopping, experiment/mnist_cnn
trainer describe GROUP                       its options
trainer describe DOTTED.PATH [--json]        any class or function: torch.optim.RMSprop, my_code.Net

A key with a leading + is an argument that the file does not list; its override is typed with the +.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.cli.commands import parse_arguments
from trainer.cli.commands.list import ListedOption, print_groups
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.config.introspection.compatibility import find_compatible, find_kinds
from trainer.config.introspection.experiments import Setting, get_overridden_choices, list_settings
from trainer.config.introspection.fields import ConfigNode, describe_nodes, describe_target
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
    print_renderables,
    render_header,
    render_node,
    render_settings,
)
from trainer.core.errors import UserError, display_path

COUNTERPART_GROUPS = {"model": "data", "data": "model"}


@dataclass(frozen=True)
class DescribedOption:
    """Option of a config group with all fields that can be set.

    Args:
        name: Group and name, `model/cnn`.
        summary: First paragraph of the comment at the top of the file; "" if there is none.
        choose: Override that selects the option.
        file: YAML file.
        user_defined: Whether the file is in the working directory instead of the package.
        claims: Source, command, measured result etc. in the comment of an experiment.
        parts: Objects that the option builds; empty for an experiment.
        chooses: Options that an experiment chooses, by group; empty for others.
        settings: Values that an experiment sets; empty for others.
        kinds: Kinds of data that a model accepts or a data set provides; empty if unknown, and for others.
        compatible_with: Data sets that a model accepts, or models that accept a data set; empty for others.
        unknown: Data sets or models of which that is unknown.
    """

    name: str
    summary: str
    choose: str
    file: Path
    user_defined: bool
    claims: dict[str, str]
    parts: list[ConfigNode]
    chooses: dict[str, Any]
    settings: list[Setting]
    kinds: list[str]
    compatible_with: list[str]
    unknown: list[str]


JSON_OUTPUTS: JsonOutputs = {
    "describe GROUP/CHOICE": (DescribedOption, "The option."),
    "describe GROUP": (dict[str, list[ListedOption]], "Options by group, as `trainer list` prints them."),
    "describe DOTTED.PATH": (ConfigNode, "The class or function."),
}


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
        print_json(describe_target(args.name))
    else:
        print_renderables(render_node(describe_target(args.name)))
    return 0


def describe_choice(choice: Choice, *, as_json: bool) -> None:
    """Print a choice and its fields."""
    option = build_description(choice)
    if as_json:
        print_json(option)
        return
    multirun = "-m " if choice.group == "hparams_search" else ""
    rows = {
        option.name: choice.summary or MISSING_SUMMARY,
        "choose it": f"trainer '{option.choose}'" if "[" in option.choose else f"trainer {multirun}{option.choose}",
        "file": display_path(choice.file) + ("  (yours)" if choice.is_user_defined else ""),
        **choice.metadata,
    }
    if choice.group == "local":  # applies to every run
        del rows["choose it"]
    if choice.is_global:
        rows["chooses"] = "  ".join(f"{group}={format_override_value(name)}" for group, name in option.chooses.items())
    if choice.group in COUNTERPART_GROUPS:
        other = COUNTERPART_GROUPS[choice.group]
        rows["reads" if choice.group == "model" else "provides"] = " or ".join(option.kinds or ["unknown"])
        rows["goes with"] = " ".join(f"{other}={name}" for name in option.compatible_with)
        rows["perhaps with"] = " ".join(f"{other}={name}" for name in option.unknown)
    body = [render_settings(option.settings)] if choice.is_global else map(render_node, option.parts)
    print_renderables(render_header(rows), *body)


def build_description(choice: Choice) -> DescribedOption:
    """Return the description of a choice."""
    kinds: list[str] = []
    compatible: list[str] = []
    unknown: list[str] = []
    if choice.group in COUNTERPART_GROUPS:
        kinds = find_kinds(choice) or []
        compatible, unknown = find_compatible(choice, [*load_choices()[COUNTERPART_GROUPS[choice.group]].values()])
    return DescribedOption(
        name=f"{choice.group}/{choice.name}",
        summary=choice.summary,
        choose=format_choice_override(choice),
        file=choice.file,
        user_defined=choice.is_user_defined,
        claims=choice.metadata,
        parts=[] if choice.is_global else describe_nodes(choice),
        chooses=get_overridden_choices(choice) if choice.is_global else {},
        settings=list_settings(choice) if choice.is_global else [],
        kinds=kinds,
        compatible_with=compatible,
        unknown=unknown,
    )
