"""Tests of the automatic quotes around texts in overrides."""

from contextlib import suppress

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st

from trainer.config.compose import Composer
from trainer.config.override_quoting import patch_override_parser, quote_override
from trainer.core.override_format import quote_text

patch_override_parser()
PARSER = OverridesParser.create()
PARSE_RULE = vars(OverridesParser)["parse_rule"].args[0]  # of Hydra


def parse_unquoted(override):
    return PARSE_RULE(PARSER, override, "override")


def read_values(override):
    """Return the value of an override, or the list of values of a sweep."""
    if override.is_sweep_override():
        return [PARSER.parse_override(f"key={text}").value() for text in override.sweep_string_iterator()]
    return override.value()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("我的图片", "我的图片"),
        ("~/shapes", "~/shapes"),
        ("a=b;c&d#e", "a=b;c&d#e"),
        ("my file (1,2).csv", "my file (1,2).csv"),
        ("it's", "it's"),
        (" (x) ", "(x)"),
        (r"我\,他\ ", "我,他 "),
        ("C:\\Users\\我\\", "C:\\Users\\我\\"),
        ("${data.dir}/我", "${data.dir}/我"),
        ("${oc.env:A,${b}}我", "${oc.env:A,${b}}我"),
        ("[年龄,'a,b', [价格, 1]]", ["年龄", "a,b", ["价格", 1]]),
    ],
)
def test_a_text_that_the_grammar_cannot_read_is_quoted(text, value):
    override = PARSER.parse_override(f"++key={text}")
    assert override.value() == value
    assert not override.is_sweep_override()
    assert parse_unquoted(override.input_line).value() == value


@pytest.mark.parametrize(
    ("text", "values"), [("我,他", ["我", "他"]), ("a(b,1,it's", ["a(b", 1, "it's"]), ("[é],[1]", [["é"], [1]])]
)
def test_a_comma_separates_the_values_of_a_sweep(text, values):
    override = PARSER.parse_override(f"key={text}")
    assert override.is_sweep_override()
    assert read_values(override) == values


@pytest.mark.parametrize(
    "override",
    ["key", "我=1", *(f"key={text}" for text in ("[a", "{a:我}", "'a", "rnage(1,2)", "range(1,é", "我,", "${a,我"))],
)
def test_other_errors_remain(override):
    with pytest.raises(HydraException) as error:
        PARSER.parse_override(override)
    with pytest.raises(HydraException) as expected:
        parse_unquoted(override)
    assert str(error.value) == str(expected.value)


@given(st.text(st.sampled_from("ab01.-_/\\ ,'\"()[]{}:=$~é"), max_size=12))
def test_every_override_that_hydra_reads_is_unchanged(text):
    override = f"key={text}"
    with suppress(HydraException):
        expected = parse_unquoted(override)
        actual = PARSER.parse_override(override)
        assert (actual.input_line, actual.value()) == (override, expected.value())


@given(st.text(st.sampled_from("ab01.-_/\\ ,'\"()[]{}:=$~é"), max_size=12))
def test_a_quoted_override_is_quoted_only_once(text):
    quoted = quote_override(f"key={text}", parse_unquoted)
    assert quote_override(quoted, parse_unquoted) == quoted


@given(st.text(max_size=12))
def test_quotes_keep_every_text(text):
    assert parse_unquoted(f"key={quote_text(text)}").value() == text


def test_stored_overrides_follow_the_grammar():
    config = Composer().compose(["data=xor", "task_name=été (1)", "tags=[我,b]"])
    assert (config.task_name, config.tags) == ("été (1)", ["我", "b"])
    assert config.hydra.overrides.task == ["data=xor", 'task_name="été (1)"', 'tags=["我",b]']


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("digits_cnn", "did you mean experiment=digits_cnn or hparams_search=digits_cnn?"),
        ("数据=3", "数据: not a valid key; expected key=value, with a key of the config"),
        (
            "task_name=a(1)",
            """not a valid call of 'a'; if the value is a text, quote it: 'task_name="a(1)"'""",
        ),
        ("task_name=été, hiver", """or quotes for a text, 'task_name="été, hiver"'"""),
    ],
)
def test_an_error_says_what_to_type(override, message):
    _, _, [diagnostic] = Composer().compose_tolerant(["data=xor", override])
    assert message in str(diagnostic)
