"""Absence of errors for valid configs: all experiments, choices, pairs and debug modes, and random ones."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.config.introspection.group_options import load_choices
from trainer.sweeps.preflight import check_overrides

CHOICES = {group: sorted(names) for group, names in load_choices().items()}
SYNTHETIC = {
    "cifar10",
    "diabetes",
    "image_folder",
    "imdb",
    "mnist",
    "stock",
    "table",
    "texts",
}  # data sets with files, which synthetic=true replaces
VECTORS, IMAGES, WORDS, SERIES = (
    ["diabetes", "line", "table", "threshold", "xor"],
    ["cifar10", "digits", "image_folder", "mnist"],
    ["imdb", "texts"],
    ["stock"],
)
PAIRS = [
    *[(model, data) for model in ("linear", "mlp") for data in VECTORS + IMAGES],
    *[(model, data) for model in ("cnn", "gan", "resnet", "attention") for data in IMAGES],
    *[(model, data) for model in ("attention", "lstm") for data in WORDS + SERIES],
    *[("bag", data) for data in WORDS],
    ("mlp", "stock"),
]
QUICK_EXPERIMENTS = {"digits_cnn", "gan_mnist", "imdb_bag", "line_mlp", "resnet_transfer", "stock_lstm", "xor_tutorial"}
EXAMPLES = int(os.environ.get("RANDOM_EXAMPLES", "25"))  # 500 in a full test


def marked(names, quick):
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in quick)) for name in names]


@pytest.fixture(autouse=True, scope="module")
def cwd(tmp_path_factory):
    """Create a working directory whose data directory contains the files of the experiments."""
    previous = Path.cwd()
    directory = tmp_path_factory.mktemp("cwd")
    (directory / "data/stocks").mkdir(parents=True)
    (directory / "data/stocks/GOOG.csv").write_text("")
    os.chdir(directory)
    variable = os.environ.pop("TRAINER_DATA_DIR", None)
    yield
    os.chdir(previous)
    if variable is not None:
        os.environ["TRAINER_DATA_DIR"] = variable


def errors(*overrides):
    return [str(item) for item in check_overrides(overrides).diagnostics if item.is_error]


def data_overrides(data):
    paths = {
        "table": ["data.path=my.csv", "data.features=3"],
        "image_folder": ["data.path=my_pictures"],
        "texts": ["data.path=my.csv"],
    }
    return [f"data={data}", *paths.get(data, []), *(["data.synthetic=true"] if data in SYNTHETIC else [])]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", marked(CHOICES["experiment"], QUICK_EXPERIMENTS))
def test_every_experiment_is_valid(experiment):
    needed = ["model.net.weights=null"] if "model.net.weights" in str(errors(f"experiment={experiment}")) else []
    assert errors(f"experiment={experiment}", *needed) == []


@pytest.mark.slow
@pytest.mark.parametrize("search", CHOICES["hparams_search"])
def test_every_search_is_valid_with_the_experiment_of_its_name(search):
    needed = {
        "resnet_transfer": ["model.net.weights=null"],
        "gan_mnist": ["callbacks=[default,sample_quality]", "callbacks.sample_quality.classifier=RUN"],
    }
    assert errors("-m", f"experiment={search}", f"hparams_search={search}", *needed.get(search, [])) == []


@pytest.mark.parametrize("debug", CHOICES["debug"])
@pytest.mark.parametrize("experiment", marked(["digits_cnn", "gan_mnist", "imdb_lstm"], {"digits_cnn"}))
def test_every_debug_mode_is_valid(debug, experiment):
    assert errors(f"experiment={experiment}", f"debug={debug}") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data"),
    [pytest.param(*pair, marks=[pytest.mark.slow] * (index % 3 > 0)) for index, pair in enumerate(PAIRS)],
)
def test_every_pair_is_valid(model, data):
    assert errors(f"model={model}", *data_overrides(data)) == []


@pytest.mark.slow
@pytest.mark.parametrize("group", ["optimizer", "scheduler", "logger", "trainer"])
def test_every_choice_is_valid(group, monkeypatch):
    monkeypatch.setattr("trainer.training.preflight.loggers.find_spec", lambda name: True)  # optional packages
    for name in CHOICES[group]:
        messages = (
            errors(f"{group}={name}", "+trainer.limit_train_batches=3")
            if group != "trainer"
            else errors(f"trainer={name}")
        )
        assert all("GPU" in message for message in messages), messages


@st.composite
def valid_overrides(draw):
    """Draw valid overrides."""
    model, data = draw(st.sampled_from(PAIRS))
    overrides = [f"model={model}", *data_overrides(data)]
    scheduler = draw(st.sampled_from([name for name in CHOICES["scheduler"] if (model, name) != ("gan", "plateau")]))
    optimizers = [name for name in CHOICES["optimizer"] if name != "muon"]  # it needs a matrix of a hidden layer
    overrides += [f"optimizer={draw(st.sampled_from(optimizers))}", f"scheduler={scheduler}"]
    strategies = {
        "seed": st.integers(0, 2**31),
        "optimizer.lr": st.floats(0, 10, allow_nan=False),
        "trainer.max_epochs": st.integers(1, 500),
        "trainer.log_every_n_steps": st.integers(1, 100),
        "trainer.accumulate_grad_batches": st.integers(1, 8),
        "trainer.deterministic": st.sampled_from(["true", "false", "warn"]),
        "trainer.precision": st.sampled_from(["32-true", "bf16-mixed", "64-true"]),
        "data.batch_size": st.integers(1, 512),
        "++data.eval_batch_size": st.integers(1, 2048),  # not every file lists it
        "tags": st.lists(st.sampled_from(["a", "first", "try_2"]), max_size=3).map(lambda tags: f"[{','.join(tags)}]"),
        "test": st.sampled_from(["true", "false"]),
        "+trainer.limit_train_batches": st.one_of(st.integers(1, 50), st.floats(0.01, 1)),
        "+trainer.max_steps": st.integers(101, 5000),
        "callbacks": st.sampled_from(
            ["[default,early_stopping]", "[default,gradient_clipping]", "none", "[checkpoint,progress]"]
        ),
        "~callbacks.prediction_images": st.none(),
        "compile": st.sampled_from(["true", "false"]),
    }
    if model == "mlp":
        strategies["model.net.hidden"] = st.lists(st.integers(1, 64), max_size=4).map(
            lambda widths: str(widths).replace(" ", "")
        )
        strategies["model.net.activation"] = st.sampled_from(["relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh"])
        strategies["model.net.dropout"] = st.floats(0, 0.99)
    chosen = draw(st.lists(st.sampled_from(sorted(strategies)), unique=True, max_size=6))
    if "callbacks" in chosen and "~callbacks.prediction_images" in chosen:
        chosen.remove("~callbacks.prediction_images")
    if model == "gan" and "callbacks" in chosen:  # a GAN does not log the metric of early stopping
        chosen.remove("callbacks")
    values = {key: draw(strategies[key]) for key in chosen}
    return overrides + [key if value is None else f"{key}={value}" for key, value in values.items()]


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(valid_overrides())
def test_valid_overrides_have_no_errors(overrides):
    assert errors(*overrides) == []
