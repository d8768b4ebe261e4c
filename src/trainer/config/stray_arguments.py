"""Arguments without an equals sign, or with spaces around it, which Hydra's grammar cannot read. Imports no torch."""

import re
from collections.abc import Sequence

from trainer.config.diagnostics import Diagnostic, SourceLocation
from trainer.config.introspection.group_options import load_choices
from trainer.core.errors import suggest_names
from trainer.core.formatting import quote_argument


def diagnose_stray_arguments(arguments: Sequence[str]) -> tuple[list[str], list[Diagnostic]]:
    """Return the arguments that are overrides, and the errors in the others.

    Args:
        arguments: Arguments of a command line without its options.
    """
    overrides: list[str] = []
    diagnostics: list[Diagnostic] = []
    remaining = [*arguments]
    while remaining:
        length = _count_parts(remaining)
        parts, remaining = remaining[:length], remaining[length:]
        text = " ".join(parts)
        if length > 1:
            hint = f"expected {quote_argument(''.join(parts))}"
            diagnostics.append(Diagnostic(text, "contains spaces", hint, SourceLocation(text)))
        elif "=" in text or text.startswith("~"):
            overrides.append(text)
        else:
            previous = overrides[-1] if overrides else ""
            hint = _suggest_override(text, previous)
            diagnostics.append(Diagnostic(text, "not an override", hint, SourceLocation(text)))
    return overrides, diagnostics


def describe_invalid_value(value: str) -> str:
    """Return a reason why the grammar of overrides cannot read a value."""
    text = re.sub(r"\\.", "", value)
    for quote in ('"', "'"):
        if text.count(quote) % 2:
            return f"a quote is not closed: {quote}"
        text = re.sub(f"{quote}[^{quote}]*{quote}", "", text)
    for start, end in ("[]", "{}", "()"):
        if text.count(start) != text.count(end):
            return f"{start} without {end}" if text.count(start) > text.count(end) else f"{end} without {start}"
    if call := re.match(r"([A-Za-z_]\w*)\s*\(", text):
        return f"not a valid call of '{call[1]}'"
    return "a value is missing after the comma" if text.rstrip().endswith(",") else "not a valid value"


def _count_parts(arguments: Sequence[str]) -> int:
    """Return the number of leading arguments that belong to one override with spaces in it."""
    for length in range(1, len(arguments)):
        is_assigned = any("=" in argument for argument in arguments[:length])
        following = arguments[length]
        has_space_before = not is_assigned and following.startswith("=")  # lr =0.1
        has_space_after = is_assigned and "=" not in following and arguments[length - 1].endswith(("=", ","))
        if not (has_space_before or has_space_after):
            return length
    return len(arguments)


def _suggest_override(argument: str, previous: str) -> str:
    """Return the override that an argument without an equals sign probably stands for.

    Args:
        argument: The argument.
        previous: Override before it; "" if it is the first argument.
    """
    if match := re.fullmatch(r"([A-Za-z_][\w./]*):(.*)", argument):
        return f"expected {quote_argument(f'{match[1]}={match[2]}')}"
    choices = load_choices()
    if argument in choices:
        return f"expected {argument}=NAME; {suggest_names('', [*choices[argument]])}"
    groups = [group for group, names in choices.items() if argument.lower() in names]
    if groups:
        return f"did you mean {' or '.join(f'{group}={argument.lower()}' for group in groups)}?"
    if previous:
        return f"expected key=value; quote a value with spaces: {quote_argument(f'{previous} {argument}')}"
    return "expected key=value"
