"""Nothing is said of what is right: every recipe, every choice, every pair, every way to debug, and by chance."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.config.introspection.group_options import choices
from trainer.sweep.preflight import check_words

CHOICES = {group: sorted(names) for group, names in choices().items()}
MADE_UP = {
    "cifar10",
    "diabetes",
    "image_folder",
    "imdb",
    "mnist",
    "stock",
    "table",
}  # sets with files, which synthetic=true stands in for
VECTORS, IMAGES, WORDS, SERIES = (
    ["diabetes", "line", "table", "threshold", "xor"],
    ["cifar10", "digits", "image_folder", "mnist"],
    ["imdb"],
    ["stock"],
)
PAIRS = [
    *[(model, data) for model in ("linear", "mlp") for data in VECTORS + IMAGES],
    *[(model, data) for model in ("cnn", "gan", "resnet", "attention") for data in IMAGES],
    *[(model, data) for model in ("attention", "lstm") for data in WORDS + SERIES],
    ("mlp", "stock"),
]
EXAMPLES = int(os.environ.get("RANDOM_EXAMPLES", "25"))  # the whole: 500


@pytest.fixture(autouse=True, scope="module")
def here(tmp_path_factory):
    """A working directory with a data root that has the files which recipes name."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("here")
    (folder / "data/stocks").mkdir(parents=True)
    (folder / "data/stocks/GOOG.csv").write_text("")
    os.chdir(folder)
    variable = os.environ.pop("TRAINER_DATA_DIR", None)
    yield
    os.chdir(before)
    if variable is not None:
        os.environ["TRAINER_DATA_DIR"] = variable


def alarms(*words):
    return [str(mistake) for mistake in check_words(words).mistakes if mistake.stops]


def data_words(data):
    own = {"table": ["data.path=my.csv", "data.features=3"], "image_folder": ["data.path=my_pictures"]}
    return [f"data={data}", *own.get(data, []), *(["data.synthetic=true"] if data in MADE_UP else [])]


@pytest.mark.parametrize("experiment", CHOICES["experiment"])
def test_every_recipe_is_right(experiment):
    needed = ["model.net.weights=null"] if "model.net.weights" in str(alarms(f"experiment={experiment}")) else []
    assert alarms(f"experiment={experiment}", *needed) == []


@pytest.mark.parametrize("search", CHOICES["hparams_search"])
def test_every_search_is_right_with_the_recipe_of_its_name(search):
    needed = {
        "resnet_transfer": ["model.net.weights=null"],
        "gan_mnist": ["callbacks=[default,sample_quality]", "callbacks.sample_quality.judge=RUN"],
    }
    assert alarms("-m", f"experiment={search}", f"hparams_search={search}", *needed.get(search, [])) == []


@pytest.mark.parametrize("debug", CHOICES["debug"])
@pytest.mark.parametrize("recipe", ["digits_cnn", "gan_mnist", "imdb_lstm"])
def test_every_way_to_debug_is_right(debug, recipe):
    assert alarms(f"experiment={recipe}", f"debug={debug}") == []


@pytest.mark.parametrize(("model", "data"), PAIRS)
def test_every_pair_is_right(model, data):
    assert alarms(f"model={model}", *data_words(data)) == []


@pytest.mark.parametrize("group", ["optimizer", "scheduler", "logger", "trainer"])
def test_every_choice_is_right(group):
    for name in CHOICES[group]:
        found = (
            alarms(f"{group}={name}", "+trainer.limit_train_batches=3")
            if group != "trainer"
            else alarms(f"trainer={name}")
        )
        assert all("GPU" in each for each in found), found


@st.composite
def legal_words(draw):
    """Words that nobody could object to."""
    model, data = draw(st.sampled_from(PAIRS))
    words = [f"model={model}", *data_words(data)]
    scheduler = draw(st.sampled_from([name for name in CHOICES["scheduler"] if (model, name) != ("gan", "plateau")]))
    words += [f"optimizer={draw(st.sampled_from(CHOICES['optimizer']))}", f"scheduler={scheduler}"]
    may = {
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
        "~callbacks.pictures": st.none(),
        "compile": st.sampled_from(["true", "false"]),
    }
    if model == "mlp":
        may["model.net.hidden"] = st.lists(st.integers(1, 64), max_size=4).map(
            lambda widths: str(widths).replace(" ", "")
        )
        may["model.net.activation"] = st.sampled_from(["relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh"])
        may["model.net.dropout"] = st.floats(0, 0.99)
    chosen = draw(st.lists(st.sampled_from(sorted(may)), unique=True, max_size=6))
    if "callbacks" in chosen and "~callbacks.pictures" in chosen:
        chosen.remove("~callbacks.pictures")
    if model == "gan" and "callbacks" in chosen:  # what early stopping waits for, a GAN does not log
        chosen.remove("callbacks")
    values = {key: draw(may[key]) for key in chosen}
    return words + [key if value is None else f"{key}={value}" for key, value in values.items()]


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(legal_words())
def test_legal_words_are_let_through(words):
    assert alarms(*words) == []
