"""Arguments of the command that runs a config: overrides, and the options of Hydra. Imports no torch."""

from argparse import Namespace
from collections.abc import Sequence
from difflib import get_close_matches

from trainer.config.compose import Composer
from trainer.config.key_suggestions import suggest_overrides
from trainer.core.compat import get_args_parser, patch_args_parser
from trainer.core.errors import UserError


def parse_command_line(arguments: Sequence[str]) -> Namespace:
    """Return the options and `overrides` of a command line, in which they may be mixed.

    Raises:
        UserError: An option does not exist.
    """
    patch_args_parser()  # also for `hydra.main`, which parses the sorted arguments again
    parser = get_args_parser()
    options, others = parser.parse_known_args([*arguments])  # overrides after an option are unknown to it
    for option in others:
        if option.startswith("-"):
            raise UserError(_explain_unknown_option(option, arguments, [*parser._option_string_actions]))
    options.overrides = [argument for argument in arguments if argument in {*options.overrides, *others}]
    return options


def sort_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the options before the overrides, as Hydra requires it.

    Raises:
        UserError: An option does not exist.
    """
    overrides = parse_command_line(arguments).overrides
    return [*(argument for argument in arguments if argument not in overrides), *overrides]


def _explain_unknown_option(option: str, arguments: Sequence[str], options: list[str]) -> str:
    name, equals, value = option.partition("=")
    index = arguments.index(option)
    if not equals and index + 1 < len(arguments) and "=" not in arguments[index + 1]:
        value = arguments[index + 1]
    override = f"{name.lstrip('-').replace('-', '_')}={value or 'VALUE'}"
    suggestions = suggest_overrides(override, "", Composer().compose([]))
    similar = get_close_matches(name, [text for text in options if text.startswith("--")], n=1)
    if similar and not suggestions:
        return f"{name}: no such option; did you mean {similar[0]}?"
    suggestions = suggestions or ["key=value"]
    return f"{name}: no such option; settings of the config have no dashes: expected {' or '.join(suggestions)}"
