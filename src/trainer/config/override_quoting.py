"""Automatic quotes around texts that Hydra's grammar of overrides cannot read, such as `data.path=~/été (1).csv`.

Overrides that Hydra can read, and lists, dicts, quoted texts and function calls with errors, remain as they are.
"""

import re
from collections.abc import Callable, Iterator
from functools import partialmethod
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.errors import HydraException

from trainer.core.override_format import quote_text

Parse = Callable[[str], Any]  # raises HydraException for a text that does not follow the grammar

_TOKEN = re.compile(r"\$\{[^}]+\}|\\[\\()\[\]{}:=, \t]|.", re.DOTALL)  # interpolation, escaped character, character
_FUNCTIONS = "|".join(create_functions().functions)
# quoted text, list, dict, unfinished interpolation or function call
_SYNTAX = re.compile(rf"['\"\[{{]|(?:{_FUNCTIONS})\s*\(|[A-Za-z_][\w-]*\s*\(.*\)$|.*\$\{{[^}}]*$", re.DOTALL)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_BLANKS = (" ", "\t")
_QUOTES = ("'", '"')
_BEFORE_QUOTE = (",", "[", "{", "(", ":", "=")  # elsewhere, a quote is an apostrophe


def quote_override(override: str, parse: Parse) -> str:
    """Return an override with quotes around each text that the grammar cannot read.

    Args:
        override: Override that the grammar cannot read.
        parse: Parser of overrides.
    """
    key, equals, value = override.partition("=")
    return key + equals + ",".join(_quote_element(element, parse) for element in _split_elements(value))


def patch_override_parser() -> None:
    """Make Hydra's parser quote the overrides that it cannot read."""
    if not isinstance(vars(OverridesParser)["parse_rule"], partialmethod):
        OverridesParser.parse_rule = partialmethod(_parse_rule, OverridesParser.parse_rule)  # type: ignore[assignment]


def _parse_rule(parser: OverridesParser, original: Callable[..., Any], text: str, rule_name: str) -> Any:
    try:
        return original(parser, text, rule_name)
    except HydraException:
        if rule_name != "override":
            raise
        try:
            return original(parser, quote_override(text, lambda other: original(parser, other, rule_name)), rule_name)
        except HydraException:
            pass
        raise  # the error of the text as it was typed


def _quote_element(element: str, parse: Parse) -> str:
    """Return an element of a sweep or a list, with quotes if the grammar cannot read it."""
    try:
        parse(f"key={element}")
    except HydraException:
        tokens = _TOKEN.findall(element)
        while tokens and tokens[0] in _BLANKS:
            del tokens[0]
        while tokens and tokens[-1] in _BLANKS:
            del tokens[-1]
        if tokens[:1] == ["["] and tokens[-1:] == ["]"]:
            elements = _split_elements("".join(tokens[1:-1]))
            return f"[{','.join(_quote_element(item, parse) for item in elements)}]"
        if _SYNTAX.match("".join(tokens)):
            return element
        return quote_text("".join(token[1:] if token[0] == "\\" and len(token) == 2 else token for token in tokens))
    return element


def _split_elements(value: str) -> Iterator[str]:
    """Yield the texts between commas, except for commas in quotes, brackets or interpolations."""
    tokens: list[str] = _TOKEN.findall(value)
    start = 0
    for end in [*_find_commas(tokens), len(tokens)]:
        yield "".join(tokens[start:end])
        start = end + 1


def _find_commas(tokens: list[str]) -> list[int]:
    """Return the indices of the commas that are not in quotes or brackets; all commas if one of these is unpaired."""
    expected: list[str] = []  # closing brackets, or a closing quote
    previous = ","
    commas = []
    for index, token in enumerate(tokens):
        quote = expected[-1] if expected and expected[-1] in _QUOTES else None
        if quote:
            if token == quote and tokens[index - 1] != "\\":
                expected.pop()
        elif token in _QUOTES and previous in _BEFORE_QUOTE:
            expected.append(token)
        elif token in _CLOSING:
            expected.append(_CLOSING[token])
        elif token in _CLOSING.values():
            if not expected or expected.pop() != token:
                return _find_all_commas(tokens)
        elif token == "," and not expected:
            commas.append(index)
        previous = previous if token in _BLANKS else token
    return _find_all_commas(tokens) if expected else commas


def _find_all_commas(tokens: list[str]) -> list[int]:
    return [index for index, token in enumerate(tokens) if token == ","]
