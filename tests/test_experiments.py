"""Every recipe and every choice, generated from the folders: a new YAML is tested the moment it exists."""

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
GIVEN = {  # what a user has to say before some choices can run
    "data=image_folder": ["data.path=my_pictures"],
    "data=table": ["data.path=my.csv", "data.features=3"],
    "callbacks=unfreezing": ["callbacks.unfreezing.stages={1:[layer4]}"],
    "callbacks=word_vectors": ["callbacks.word_vectors.path=vectors.txt"],
    "callbacks=sample_quality": ["callbacks.sample_quality.judge=outputs/mnist_cnn/RUN"],
}


def test_every_experiment_is_killed_and_replayed_by_the_script_for_that():
    script = runpy.run_path(str(REPOSITORY / "tests/crash/every_kill_point.py"))
    assert sorted(script["SHORT"]) == EXPERIMENTS


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_opens_with_its_claim(name):
    """Source, command, and a number measured by that command, with machine and seeds."""
    lines = (REPOSITORY / f"experiments/{name}.yaml").read_text().splitlines()
    claim = "\n".join(line for line in lines[: next(i for i, x in enumerate(lines) if not x.startswith("#"))])
    assert f"experiment={name}" in claim
    assert re.search(r"seeds? \d", claim)
    assert re.search(r"\d+(\.\d+)? (s|min) ", claim)
    assert "cores" in claim
    assert "Source: " in claim


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_composes_and_names_its_runs(name, command):
    config = yaml.safe_load(command(f"experiment={name}", "--cfg", "job", "--resolve").out)
    assert config["task_name"] == name
    assert "???" not in str(config)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_holds_only_differences(name, command):
    """Whatever an experiment sets is not what its choices give anyway."""

    def leaves(node, path=()):
        if isinstance(node, dict):
            for key, child in node.items():
                yield from leaves(child, (*path, key))
        else:
            yield path, node

    own = yaml.safe_load((REPOSITORY / f"experiments/{name}.yaml").read_text())
    choices = [f"{k.removeprefix('override /')}={v}" for each in own.pop("defaults", []) for k, v in each.items()]
    choices = [choice.replace(" ", "").replace("'", "") for choice in choices]
    without = yaml.safe_load(command(*choices, "--cfg", "job").out)
    for path, value in leaves(own):
        node = without
        for key in path:
            node = node.get(key, {}) if isinstance(node, dict) else {}
        assert node != value, f"{'.'.join(path)}: {value} is the default"


# what a choice needs beside it: data that are at hand, a network that can take them
BESIDE = {
    "data=image_folder": ["data.synthetic=true"],
    "data=imdb": ["model=lstm"],
    "data=stock": ["data.synthetic=true"],
    "data=table": ["data.synthetic=true"],
    "model=lstm": ["data=stock", "data.synthetic=true"],
    "model=resnet": ["data=cifar10"],
    "callbacks=unfreezing": ["model=resnet"],
}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_passes_preflight(choice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vectors.txt").touch()
    (tmp_path / "outputs/mnist_cnn/RUN").mkdir(parents=True)
    from trainer.sweep.preflight import check_words

    found = check_words([choice, *GIVEN.get(choice, []), *BESIDE.get(choice, [])])
    assert [str(each) for each in found.mistakes if each.stops and "no GPU on this machine" not in each.problem] == []


@pytest.mark.parametrize("choice", GIVEN)
def test_what_has_to_be_given_is_asked_for_before_anything_is_opened(choice, command):
    refused = command(choice)
    assert refused.code == 1
    for word in GIVEN[choice]:
        assert f"{word.partition('=')[0]}: no value given" in refused.err


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_opens_by_saying_what_it_is(choice):
    group, name = choice.split("=")
    first = (REPOSITORY / f"conf/{group}/{name}.yaml").read_text().splitlines()[0]
    assert re.match(r"# [A-Z0-9].+[.:)]", first)
