"""Runs with random overrides, which make a step or end with one message, never with a traceback."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.config.compose import Composer
from trainer.config.introspection.group_options import load_choices

EXAMPLES = int(os.environ.get("RANDOM_EXAMPLES", "40"))  # 1000 in a full test
CHOICES = {group: sorted(names) for group, names in load_choices().items()}


def keys():
    """Return all dotted keys of some configs."""
    composer = Composer()
    result = set()

    def walk(node, key):
        for name in node:
            inner = f"{key}.{name}" if key else str(name)
            result.add(inner)
            child = node._get_node(name)
            if hasattr(child, "keys") and not child._is_none() and not child._is_missing():
                walk(child, inner)

    for overrides in (
        [],
        ["model=cnn"],
        ["model=gan"],
        ["data=line"],
        ["callbacks=[default,early_stopping,gradient_clipping]"],
    ):
        config = composer.compose(overrides)
        for group in config:
            if group != "hydra":
                result.add(group)
                if hasattr(config[group], "keys"):
                    walk(config[group], group)
    return sorted(result - {"outputs", "ckpt_path"})


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
def random_overrides(draw):
    """Draw some overrides: choices, values of existing keys, and nonsense."""
    overrides = []
    for kind in draw(
        st.lists(st.sampled_from(["choice", "value", "value", "value", "nonsense"]), min_size=1, max_size=4)
    ):
        if kind == "choice":
            group = draw(st.sampled_from([name for name in CHOICES if name not in ("experiment", "trainer")]))
            overrides.append(f"{group}={draw(st.sampled_from([*CHOICES[group], 'nothing']))}")
        elif kind == "value":
            sign, key = draw(SIGNS), draw(st.sampled_from(KEYS))
            overrides.append(f"{sign}{key}" if sign == "~" else f"{sign}{key}={draw(VALUES)}")
        else:
            overrides.append(
                draw(st.text("abm1_./=,[]{}$:~+ '\"", min_size=1, max_size=12).filter(lambda text: text[0] != "-"))
            )
    return overrides


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(random_overrides())
def test_any_overrides_make_a_step_or_get_a_message(command, overrides):
    short = [] if any("fast_dev_run" in override for override in overrides) else ["+trainer.fast_dev_run=1"]
    outcome = command(*overrides, *short)
    assert "Traceback" not in outcome.err + outcome.out, (overrides, outcome.err)
    if outcome.code:
        assert outcome.code in (1, 2)
        assert "error: " in outcome.err, (overrides, outcome.err)
    else:
        assert "1 step(s) in" in outcome.out + outcome.err or any("train=" in override for override in overrides), (
            overrides,
            outcome.out,
        )
