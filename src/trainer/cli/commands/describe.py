"""What can be set in a choice: keys, types, defaults, what they mean, and what goes with it.

trainer describe GROUP/CHOICE [--json]       e.g. model/cnn, data/mnist, callbacks/early_stopping, experiment/mnist_cnn
trainer describe GROUP                       its choices
trainer describe DOTTED.PATH [--json]        any class or function: torch.optim.RMSprop, my_code.Net

A key with a + before it is an argument that the file does not list: type the + as well.
"""

from dataclasses import asdict
from typing import Any

from trainer.cli.commands.list import main as list_group
from trainer.config.introspection.compatibility import fitting, kinds_of
from trainer.config.introspection.experiments import overridden, settings_of
from trainer.config.introspection.fields import part_alone, parts_of
from trainer.config.introspection.group_options import Choice, choice_named, choices, group_named, word_of
from trainer.config.introspection.rendering import UNSAID, head, part, settings, show, show_json, value
from trainer.core.errors import UserError, shown

USAGE = "trainer describe GROUP/CHOICE|GROUP|DOTTED.PATH [--json]"
OTHER_SIDE = {"model": "data", "data": "model"}


def main(words: list[str]) -> int:
    """Run the command with the words behind `describe`; the exit status is 0.

    Raises:
        UserError: There is nothing of that name, or more than one name.
    """
    names = [word for word in words if word != "--json"]
    if len(names) != 1 or names[0].startswith("-"):
        raise UserError(f"describe: name one thing\n  {USAGE}")
    [name], for_programs = names, "--json" in words
    group, dot, _ = name.partition(".")
    if dot and group in choices():
        example = f"{group}/{next(iter(choices()[group]))}"
        raise UserError(f"describe: '{name}' is a key; name the choice that has it, such as {example}")
    if not dot and "/" not in name and "=" not in name:
        group_named(name)
        return list_group(words)
    if "/" in name or "=" in name:
        describe_choice(choice_named(name), for_programs=for_programs)
    elif for_programs:
        show_json(part_alone(name).as_json())
    else:
        show(part(part_alone(name)))
    return 0


def describe_choice(choice: Choice, *, for_programs: bool) -> None:
    """Print what a choice is and what can be set in it."""
    word = word_of(choice)
    sweeps = "-m " if choice.group == "hparams_search" else ""
    told: dict[str, Any] = {
        "name": f"{choice.group}/{choice.name}",
        "summary": choice.summary,
        "choose": word,
        "file": str(choice.file),
        "yours": choice.yours,
        "claims": choice.claims,
    }
    rows = {
        told["name"]: choice.summary or UNSAID,
        "choose it": f"trainer '{word}'" if "[" in word else f"trainer {sweeps}{word}",
        "file": shown(choice.file) + ("  (yours)" if choice.yours else ""),
        **choice.claims,
    }
    if choice.group == "local":  # it joins every run
        del rows["choose it"]
    if choice.is_global:
        sets = settings_of(choice)
        told |= {"chooses": overridden(choice), "settings": [asdict(each) for each in sets]}
        rows["chooses"] = "  ".join(f"{group}={value(name)}" for group, name in overridden(choice).items())
        body = [settings(sets)]
    else:
        parts = parts_of(choice)
        told["parts"] = [each.as_json() for each in parts]
        body = [part(each) for each in parts]
    if choice.group in OTHER_SIDE:
        other = OTHER_SIDE[choice.group]
        fit, unknown = fitting(choice, [*choices()[other].values()])
        told["kinds"], told["goes_with"], told["unknown"] = kinds_of(choice), fit, unknown
        kinds = " or ".join(kinds_of(choice) or [])
        rows["reads" if choice.group == "model" else "gives"] = kinds or "(its source does not say)"
        rows["goes with"] = " ".join(f"{other}={name}" for name in fit)
        rows["perhaps with"] = " ".join(f"{other}={name}" for name in unknown)
    if for_programs:
        show_json(told)
    else:
        show(head(rows), *body)
