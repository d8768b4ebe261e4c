"""Groups of random settings, which must be equal to the same runs alone."""

import shutil

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

DATA = {
    "digits": ["data=digits", "data.val_size=100", "data.test_size=100"],
    "diabetes": ["data=diabetes", "data.synthetic=true"],
    "line": ["data=line"],
}
MODELS = {
    "mlp": ["model=mlp", "model.net.hidden=[8,8]", "model.net.activation=tanh"],
    "batch norm": ["model=mlp", "model.net.hidden=[8,8]", "model.net.activation=tanh", "model.net.batch_norm=true"],
    "linear": ["model=linear"],
}
OPTIMIZERS = {
    "sgd": ["optimizer=sgd"],
    "momentum": ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.nesterov=true"],
    "adam": ["optimizer=adam"],
    "adamw": ["optimizer=adamw"],
}
SCHEDULES = ["constant", "cosine", "onecycle", "plateau", "step", "warmup"]
CLIPPING = {
    "none": [],
    "norm": ["callbacks=[default,gradient_clipping]", "callbacks.gradient_clipping.value=0.1"],
    "value": [
        *("callbacks=[default,gradient_clipping]", "callbacks.gradient_clipping.value=0.01"),
        "callbacks.gradient_clipping.algorithm=value",
    ],
    "by the trainer": ["+trainer.gradient_clip_val=0.1"],
}
LENGTHS = {
    "epochs": ["trainer.max_epochs=2"],
    "steps": ["trainer.max_epochs=3", "+trainer.max_steps=29"],
    "validations within an epoch": ["trainer.max_epochs=2", "+trainer.val_check_interval=0.5"],
}


def choices(options):
    """Return one of the lists of overrides."""
    return st.sampled_from([*options]).map(lambda name: options[name])


@st.composite
def members(draw):
    """Return the settings that may differ between the runs of a group."""
    return [
        f"optimizer.lr={draw(st.sampled_from([0.001, 0.01, 0.02]))}",
        f"optimizer.weight_decay={draw(st.sampled_from([0, 0.01, 0.1]))}",
        f"objective.penalty.l1={draw(st.sampled_from([0, 0.001]))}",
        f"objective.penalty.l2={draw(st.sampled_from([0, 0.01]))}",
        f"seed={draw(st.integers(0, 5))}",
        f"data.batch_size={draw(st.sampled_from([32, 32, 50]))}",
    ]


@st.composite
def groups(draw):
    """Return the settings of all runs of a group, and those of each."""
    data = draw(st.sampled_from([*DATA]))
    # batch norm amplifies the rounding errors of a single input
    model = draw(st.sampled_from([*MODELS] if data != "line" else ["mlp", "linear"]))
    common = [*DATA[data], *MODELS[model], *draw(choices(OPTIMIZERS))]
    common += [*draw(choices(CLIPPING)), *draw(choices(LENGTHS))]
    common += [f"trainer.accumulate_grad_batches={draw(st.sampled_from([1, 1, 2, 3]))}"]
    common += [f"scheduler={draw(st.sampled_from(SCHEDULES))}", "trainer.log_every_n_steps=4", "logger=csv"]
    runs = [draw(members()) for _ in range(draw(st.integers(2, 4)))]
    for run in runs:
        if model != "linear":
            run.append(f"model.net.dropout={draw(st.sampled_from([0.0, 0.1, 0.5]))}")
        if data != "line":
            run.append(f"objective.label_smoothing={draw(st.sampled_from([0.0, 0.1]))}")
    return common, runs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*could not find the monitored key:UserWarning")  # if no validation is due
def test_random_groups_are_equal_to_their_runs_alone(assert_equal_runs, work, tmp_path):
    @settings(
        max_examples=20, derandomize=True, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(groups())
    def check(group):
        for folder in ("alone", "group"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
        work.clear()
        assert_equal_runs(*group)

    check()
