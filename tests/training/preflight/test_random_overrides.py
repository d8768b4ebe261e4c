"""Any words, legal or not: the run makes a step, or it ends with one clear message; never with a traceback."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.config.compose import Composer
from trainer.config.introspection.group_options import choices

EXAMPLES = int(os.environ.get("RANDOM_EXAMPLES", "40"))  # the whole: 1000
CHOICES = {group: sorted(names) for group, names in choices().items()}


def keys():
    """Every dotted key of a few configs."""
    composer, found = Composer(), set()

    def walk(node, key):
        for name in node:
            inner = f"{key}.{name}" if key else str(name)
            found.add(inner)
            child = node._get_node(name)
            if hasattr(child, "keys") and not child._is_none() and not child._is_missing():
                walk(child, inner)

    for words in (
        [],
        ["model=cnn"],
        ["model=gan"],
        ["data=line"],
        ["callbacks=[default,early_stopping,gradient_clipping]"],
    ):
        config = composer.compose(words)
        for group in config:
            if group != "hydra":
                found.add(group)
                if hasattr(config[group], "keys"):
                    walk(config[group], group)
    return sorted(found - {"outputs", "ckpt_path"})


KEYS = keys()
VALUES = st.one_of(
    st.integers(-3, 3).map(str),
    st.sampled_from(["10", "64", "1000", "0.5", "0.001", "1e-3", "-1.5", "inf", "nan"]),
    st.sampled_from(["true", "false", "null", "auto", "[]", "{}", "[1,2]", "[8]", "[0.9,0.99]", "{a: 1}", "???"]),
    st.sampled_from(
        ["relu", "val/loss", "val/accuracy", "max", "min", "os.system", "torch.nn.Linear", "${seed}", "${x}"]
    ),
    st.text("ab1_./=,[]{}$:~+ '\"\\é", max_size=8),
)
SIGNS = st.sampled_from(["", "", "", "", "+", "++", "~"])


@st.composite
def words(draw):
    """A few words: choices, values of real keys, and nonsense."""
    made = []
    for kind in draw(
        st.lists(st.sampled_from(["choice", "value", "value", "value", "nonsense"]), min_size=1, max_size=4)
    ):
        if kind == "choice":
            group = draw(st.sampled_from([each for each in CHOICES if each not in ("experiment", "trainer")]))
            made.append(f"{group}={draw(st.sampled_from([*CHOICES[group], 'nothing']))}")
        elif kind == "value":
            sign, key = draw(SIGNS), draw(st.sampled_from(KEYS))
            made.append(f"{sign}{key}" if sign == "~" else f"{sign}{key}={draw(VALUES)}")
        else:
            made.append(
                draw(st.text("abm1_./=,[]{}$:~+ '\"", min_size=1, max_size=12).filter(lambda text: text[0] != "-"))
            )
    return made


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(words())
def test_any_words_make_a_step_or_get_a_message(command, words):
    short = [word for word in ("+trainer.fast_dev_run=1",) if not any("fast_dev_run" in each for each in words)]
    outcome = command(*words, *short)
    assert "Traceback" not in outcome.err + outcome.out, (words, outcome.err)
    if outcome.code:
        assert outcome.code in (1, 2)
        assert "error: " in outcome.err, (words, outcome.err)
    else:
        assert "1 step(s) in" in outcome.out + outcome.err or any("train=" in word for word in words), (
            words,
            outcome.out,
        )
