"""Every invalid_configs mistake is told, under its key and at its place; and nothing is told of what is right."""

import importlib.util
import shlex
from pathlib import Path

import pytest

from trainer.sweep.preflight import check_words

SPEC = importlib.util.spec_from_file_location("invalid_configs", Path(__file__).with_name("invalid_configs.py"))
PLANTED = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(PLANTED)
EXPERIMENTS = sorted(file.stem for file in (Path(__file__).parents[3] / "experiments").glob("*.yaml"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAINER_DATA_DIR", raising=False)
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    (tmp_path / "taken").write_text("a file where a folder should be")
    return tmp_path


def test_the_corpus_is_large():
    assert len(PLANTED.TYPED) + len(PLANTED.WRITTEN) >= 80


@pytest.mark.parametrize(("typed", "key", "said"), PLANTED.TYPED, ids=[row[0] for row in PLANTED.TYPED])
def test_a_mistake_on_the_command_line_is_told(typed, key, said, here):
    found = check_words(shlex.split(typed)).mistakes
    own = [mistake for mistake in found if mistake.key == key and said in str(mistake)]
    assert len(own) == 1, [str(mistake) for mistake in found]
    group = key.partition(".")[0]
    elsewhere = [str(mistake) for mistake in found if mistake.stops and mistake.key.partition(".")[0] != group]
    assert elsewhere == []


@pytest.mark.parametrize(
    ("file", "text", "typed", "key", "line", "said"),
    PLANTED.WRITTEN,
    ids=[f"{row[0]}-{row[3]}-{row[4]}" for row in PLANTED.WRITTEN],
)
def test_a_mistake_in_a_file_is_told_with_its_line(file, text, typed, key, line, said, here):
    (here / file).parent.mkdir(parents=True)
    (here / file).write_text(text)
    found = check_words(shlex.split(typed)).mistakes
    own = [mistake for mistake in found if mistake.key.startswith(key)]
    assert len(own) == 1, [str(mistake) for mistake in found]
    assert said in str(own[0])
    assert (own[0].place.text, own[0].place.line) == (file if line else typed, line)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_mistakes_in_a_recipe_are_told_all_at_once(experiment, here):
    invalid_configs = [
        "+model.net.hidde_n=3",
        "optimizer.lr=x",
        "trainer.max_epochs=many",
        "+data.batchsize=2",
        "epocs=1",
    ]
    found = check_words([f"experiment={experiment}", *invalid_configs]).mistakes
    keys = {mistake.key: mistake for mistake in found}
    for word in invalid_configs:
        key = word.lstrip("+").partition("=")[0]
        assert keys[key].place.text == word


def test_all_jobs_of_a_sweep_are_checked_and_each_mistake_says_in_which_it_is(here):
    found = check_words(["-m", "model=mlp,cnn", "data=digits,xor", "optimizer.lr=0.1,x,0.3"])
    assert (found.jobs, found.checked) == (12, 12)
    said = {mistake.key: mistake.jobs for mistake in found.mistakes}
    assert said == {"optimizer.lr": (1, 4, 7, 10), "model": (9, 11)}


def test_of_a_large_sweep_each_value_is_in_a_job_that_is_checked(here):
    values = ",".join(map(str, range(1, 32)))
    found = check_words(["-m", f"seed={values}", f"trainer.max_epochs={values},x"])
    assert found.jobs == 31 * 32
    assert found.checked < 100
    assert [mistake.key for mistake in found.mistakes] == ["trainer.max_epochs"]


SEARCH = ["-m", "experiment=xor_mlp", "hparams_search=xor_mlp"]


@pytest.mark.parametrize("key", ["sweep", "optimized_metric", "seed", "data", "test"])
@pytest.mark.parametrize("words", [["experiment=xor_mlp"], ["-m", "experiment=xor_mlp", "seed=1,2"], SEARCH])
def test_a_key_that_was_taken_out_is_missed_by_name(words, key, command):
    outcome = command(*words, f"~{key}")
    assert outcome.code == 1
    assert f"{key}: " in outcome.err
    assert f"~{key}" in outcome.err
    assert "Traceback" not in outcome.err
