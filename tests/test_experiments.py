"""Checks of every file in experiments/ and conf/; new files are tested without further changes."""

import re
import runpy
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
EXPERIMENTS = sorted(file.stem for file in (REPOSITORY / "experiments").glob("*.yaml"))
CHOICES = sorted(
    f"{file.parent.name}={file.stem}"
    for file in (REPOSITORY / "conf").glob("*/*.yaml")
    if file.parent.name not in ("experiment", "hparams_search", "debug")
)
BORING_MODEL = "model._target_=pytorch_lightning.demos.boring_classes.BoringModel"
BORING_DATA = "data.train={_target_: pytorch_lightning.demos.boring_classes.RandomDataset, size: 32, length: 4}"
REQUIRED_OVERRIDES = {  # values that have no default
    "data=custom": ["data._target_=trainer.data.xor.XOR"],
    "data=datasets": [BORING_DATA],
    "model=custom": [BORING_MODEL],
    "data=image_folder": ["data.path=my_images"],
    "data=table": ["data.path=my.csv"],
    "data=texts": ["data.path=my.csv"],
    "callbacks=unfreezing": ["callbacks.unfreezing.stages={1:[layer4]}"],
    "callbacks=word_vectors": ["callbacks.word_vectors.path=vectors.txt"],
    "callbacks=sample_quality": ["callbacks.sample_quality.classifier=outputs/mnist_cnn/RUN"],
}


def test_the_script_of_kill_points_covers_every_experiment():
    script = runpy.run_path(str(REPOSITORY / "tests/crash/every_kill_point.py"))
    assert sorted(script["SHORT"]) == EXPERIMENTS


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_documents_source_command_and_result(name):
    lines = (REPOSITORY / f"experiments/{name}.yaml").read_text().splitlines()
    comment = "\n".join(lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))])
    assert f"experiment={name}" in comment
    assert re.search(r"seeds? \d", comment)
    assert re.search(r"\d+(\.\d+)? (s|min) ", comment)
    assert "cores" in comment
    assert "Source: " in comment


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_composes_and_names_its_runs(name, command):
    config = yaml.safe_load(command(f"experiment={name}", "--cfg", "job", "--resolve").out)
    assert config["task_name"] == name
    assert "???" not in str(config)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_sets_no_value_to_its_default(name, command):

    def flatten(node, path=()):
        if isinstance(node, dict):
            for key, child in node.items():
                yield from flatten(child, (*path, key))
        else:
            yield path, node

    content = yaml.safe_load((REPOSITORY / f"experiments/{name}.yaml").read_text())
    choices = [f"{k.removeprefix('override /')}={v}" for entry in content.pop("defaults", []) for k, v in entry.items()]
    choices = [choice.replace(" ", "").replace("'", "") for choice in choices]
    defaults = yaml.safe_load(command(*choices, "--cfg", "job").out)
    for path, value in flatten(content):
        node = defaults
        for key in path:
            node = node.get(key, {}) if isinstance(node, dict) else {}
        assert node != value, f"{'.'.join(path)}: {value} is the default"


# synthetic data, or a compatible network or data set
COMPATIBLE_OVERRIDES = {
    "data=arrays": ["data.synthetic=true"],
    "data=image_folder": ["data.synthetic=true"],
    "data=imdb": ["model=lstm"],
    "data=stock": ["data.synthetic=true"],
    "data=table": ["data.synthetic=true", "data.features=3"],
    "data=texts": ["data.synthetic=true", "model=lstm"],
    "model=bag": ["data=imdb"],
    "model=lstm": ["data=stock", "data.synthetic=true"],
    "model=resnet": ["data=cifar10"],
    "callbacks=unfreezing": ["model=resnet"],
    "data=custom": ["+data.batch_size=4"],
    "data=datasets": ["model=custom", BORING_MODEL],
    "model=custom": ["data=datasets", BORING_DATA],
}


def every_third(names):
    """Return parameters of which two of three are slow."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (number % 3 > 0)) for number, name in enumerate(names)]


@pytest.mark.slow
@pytest.mark.parametrize("choice", every_third(CHOICES))
def test_every_choice_passes_preflight(choice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vectors.txt").touch()
    (tmp_path / "outputs/mnist_cnn/RUN").mkdir(parents=True)
    from trainer.sweeps.preflight import check_overrides

    report = check_overrides([choice, *REQUIRED_OVERRIDES.get(choice, []), *COMPATIBLE_OVERRIDES.get(choice, [])])
    missing = re.compile("no GPU on this machine|^needs the package '(wandb|mlflow|comet_ml)'$")
    errors = [error for error in report.diagnostics if error.is_error and not missing.search(error.problem)]
    assert errors == []


@pytest.mark.slow
@pytest.mark.parametrize("choice", REQUIRED_OVERRIDES)
def test_missing_required_values_are_reported(choice, command):
    outcome = command(choice)
    assert outcome.code == 1
    for override in REQUIRED_OVERRIDES[choice]:
        assert f"{override.partition('=')[0]}: no value given" in outcome.err


@pytest.mark.parametrize("choice", CHOICES)
def test_the_first_line_of_every_choice_describes_it(choice):
    group, name = choice.split("=")
    first = (REPOSITORY / f"conf/{group}/{name}.yaml").read_text().splitlines()[0]
    assert re.match(r"# [A-Z0-9].+[.:)]", first)
