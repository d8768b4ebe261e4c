"""A sweep has one directory for all axes and launchers."""

import json
import shutil

import pytest

from trainer.config.compose import Composer
from trainer.config.multirun import quote_path, resolve_sweep_directory
from trainer.config.schema import RESOURCE_DIR
from trainer.sweeps.jobs.shared_settings import compose_shared_config
from trainer.sweeps.store.job_store import Ledger

TINY = ["callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
EXPERIMENT = "defaults:\n  - override /data: line\noptimizer:\n  lr: {}\n"


@pytest.fixture
def experiments(tmp_path):
    """Write the experiments `low` and `high`, whose data set has keys that the default one does not have."""
    (tmp_path / "experiments").mkdir()
    for name, rate in {"low": 0.001, "high": 0.1}.items():
        (tmp_path / f"experiments/{name}.yaml").write_text(EXPERIMENT.format(rate))
    return tmp_path / "experiments"


def assert_in_one_directory(directory, expected, count):
    """Check that all jobs of the only sweep below a directory are done and stored in it."""
    [ledger] = directory.rglob("sweep.sqlite")
    assert str(ledger.parent.parent.relative_to(directory)) == expected
    jobs = Ledger(ledger.parent).jobs()
    assert [job.state for job in jobs] == ["done"] * count
    assert {file.parent for file in directory.rglob("result.json")} == {ledger.parent / str(job.number) for job in jobs}
    return ledger.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["seed=1,2"], "outputs/digits_mlp"),
        (["data=xor", "model=mlp,linear"], "outputs/xor_multirun"),
        (["data=xor,line", "model=mlp,linear"], "outputs/multirun"),
        (["experiment=low,high"], "outputs/multirun"),
        (["experiment=low"], "outputs/low"),
        (["experiment=low,high", "task_name=mine"], "outputs/mine"),
        (["experiment=low,high", "data=line", "task_name=${hydra:runtime.choices.data}"], "outputs/line"),
        (["experiment=low,high", "task_name=${hydra:runtime.choices.data}"], "outputs/multirun"),
        (["task_name=a,b"], "outputs/multirun"),
        (["outputs=a,b"], "outputs/digits_mlp"),
        (["outputs=out_${optimizer.lr}", "optimizer.lr=0.1,0.2"], "out_multirun/digits_mlp"),
        (["outputs=out_${seed}", "sweep.seeds=3"], "out_multirun/digits_mlp"),
        (["outputs=out_${data.fold}", "sweep.folds=3"], "out_multirun/digits_mlp"),
        (["outputs=out_${seed}", "seed=3"], "out_3/digits_mlp"),
        (["outputs=out_${model.net.hidden.0}", "model.net.hidden=[4],[8]"], "out_64/digits_mlp"),
        (["data=xor", 'sweep.grids=["model=mlp seed=1,2","model=linear"]'], "outputs/xor_multirun"),
        (['hydra.sweeper.params={model:"mlp,linear"}'], "outputs/digits_multirun"),
        (["model=mlp,linear", "optimizer.lr=interval(0.1,0.2)", "sweep.n_trials=3"], "outputs/digits_multirun"),
    ],
    ids=" ".join,
)
def test_the_path_of_a_sweep_names_what_its_jobs_share(args, expected, experiments, monkeypatch):
    monkeypatch.chdir(experiments.parent)
    composer = Composer()
    path = resolve_sweep_directory(compose_shared_config(composer, args), composer.parse_overrides(args))
    assert path.rpartition("/")[0] == expected


@pytest.mark.parametrize(
    ("args", "expected", "count"),
    [
        (["data=xor", "model=linear,mlp", "seed=1,2"], "outputs/xor_multirun", 4),
        pytest.param(
            ["data=xor", "model=linear,mlp", "hydra.sweeper.max_batch_size=1"],
            "outputs/xor_multirun",
            2,
            marks=pytest.mark.slow,
        ),
        (["data=xor", "model=linear,mlp", "sweep.workers=2"], "outputs/xor_multirun", 2),
        pytest.param(
            ["data=xor", "model=linear,mlp", "sweep.n_trials=2", "optimized_metric=val/loss"],
            "outputs/xor_multirun",
            2,
            marks=pytest.mark.slow,
        ),
        pytest.param(["data=xor,line"], "outputs/multirun_mlp", 2, marks=pytest.mark.slow),
        (["experiment=low,high", "data.points=30"], "outputs/multirun", 2),
        pytest.param(["data=xor", "outputs=a,b", "seed=1,2"], "outputs/xor_mlp", 2, marks=pytest.mark.slow),
        pytest.param(
            ["data=xor", "outputs=out_${optimizer.lr}", "optimizer.lr=0.1,0.2"],
            "out_multirun/xor_mlp",
            2,
            marks=pytest.mark.slow,
        ),
        (
            ["data=xor", "task_name=a,b", "optimizer.lr=0.1,0.2", "sweep.zip=[task_name,optimizer.lr]"],
            "outputs/multirun",
            2,
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_all_jobs_of_a_sweep_are_in_one_directory(args, expected, count, experiments, command):
    outcome = command("-m", *args, *TINY)
    assert outcome.code == 0, outcome.err
    directory = assert_in_one_directory(experiments.parent, expected, count)
    assert (directory / "report.csv").read_text().count("\n") > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "package"), [("joblib", "joblib"), ("submitit_local", "submitit"), ("ray", "ray")]
)
def test_all_jobs_of_other_launchers_are_in_one_directory(launcher, package, process, tmp_path):
    pytest.importorskip(package)
    outcome = process("-m", "data=xor", "model=linear,mlp", *TINY, f"hydra/launcher={launcher}")
    assert outcome.code == 0, outcome.err
    assert_in_one_directory(tmp_path, "outputs/xor_multirun", 2)


@pytest.mark.slow
def test_a_sweep_over_models_is_resumed_and_extended_in_its_directory(command, tmp_path):
    assert command("-m", "data=xor", "model=linear,mlp", "outputs='a b'", *TINY).code == 0
    directory = assert_in_one_directory(tmp_path, "a b/xor_multirun", 2)
    outcome = command("sweep", "resume", str(directory), "seed=1,2,3")
    assert outcome.code == 0, outcome.err
    assert assert_in_one_directory(tmp_path, "a b/xor_multirun", 6) == directory


@pytest.mark.slow
def test_a_plan_finds_the_sweep_in_the_directory_that_a_file_names(command, experiments):
    (experiments / "named.yaml").write_text(EXPERIMENT.format(0.1) + "hydra:\n  sweep:\n    dir: named_${seed}\n")
    assert command("-m", "experiment=named", "model=linear,mlp", *TINY).code == 0
    plan = command("-m", "experiment=named", "model=linear,mlp", "optimizer.lr=0.1,0.2", *TINY, "--plan")
    assert "4 jobs, 2 to run" in plan.out


def test_an_experiment_that_contains_a_sweep_does_not_start_one_in_each_job(command, experiments):
    sweep = "sweep:\n  workers: 2\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 1,2\n"
    (experiments / "whole.yaml").write_text(EXPERIMENT.format(0.1) + sweep)
    outcome = command("experiment=whole", *TINY)
    assert outcome.code == 0, outcome.err
    assert_in_one_directory(experiments.parent, "outputs/whole", 2)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sweep:\n  seeds: 2\n", "sweep.seeds: 2 in a job, null in the sweep"),
        ("sweep:\n  workers: 2\n", "sweep.workers: 2 in a job, null in the sweep"),
        ("hydra:\n  sweep:\n    dir: elsewhere\n", "hydra.sweep.dir: elsewhere in a job, "),
        ("hydra:\n  sweeper:\n    params:\n      seed: 1,2\n", "hydra.sweeper.params.seed: 1,2 in a job, null in the"),
    ],
    ids=["seeds", "workers", "directory", "axes"],
)
def test_a_setting_of_the_sweep_in_one_of_the_swept_experiments_is_refused(setting, message, command, experiments):
    (experiments / "other.yaml").write_text(EXPERIMENT.format(0.1) + setting)
    outcome = command("-m", "experiment=low,other", *TINY)
    assert outcome.code == 1
    assert message in outcome.err
    assert "(in experiments/other.yaml:" in outcome.err
    assert not (experiments.parent / "outputs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sweep.workers=1,2", "sweep.workers: 1 in a job, null in the sweep; expected one value for all jobs"),
        ("hydra.sweep.subdir=${seed}", "hydra.sweep.subdir: the directory of a job is named by its number"),
        ("hydra.sweep.dir=s_${hydra.job.num}", "hydra.sweep.dir: MissingMandatoryValue while resolving interpolation"),
        ("hydra.job.name=a,b", "Sweeping over Hydra's configuration is not supported"),
    ],
)
def test_a_setting_of_the_sweep_cannot_be_swept(override, message, command):
    outcome = command("-m", "data=xor", "seed=1,2", *TINY, override)
    assert outcome.code == 1
    assert message in outcome.err


def test_experiments_that_agree_on_a_setting_of_the_sweep_set_it(command, experiments):
    for name in ("low", "high"):
        with (experiments / f"{name}.yaml").open("a") as file:
            file.write("sweep:\n  seeds: 2\n")
    assert command("-m", "experiment=low,high", *TINY).code == 0
    assert_in_one_directory(experiments.parent, "outputs/multirun", 4)


def test_an_interpolation_in_an_override_is_not_resolved(command, tmp_path):
    args = ["data=xor", "seed=1,2", "tags=['${seed}']", "hydra.help.header=h${seed}", "hydra.sweep.dir=s", *TINY]
    assert command("-m", *args).code == 0
    for number in (0, 1):
        assert "tags=['${seed}']" in json.loads((tmp_path / f"s/{number}/provenance.json").read_text())["overrides"]
        assert "header: h${seed}" in (tmp_path / f"s/{number}/.hydra/hydra.yaml").read_text()


@pytest.mark.parametrize("path", ["a b", "it's", "a\\b", "a\\", "a\\'b", "a=b,c", "${x}", "ä#b"])
def test_any_path_is_a_value_of_an_override(path, command):
    composer = Composer()
    assert composer.compose([f"hydra.sweep.dir={quote_path(path)}"]).hydra.sweep.dir == path


@pytest.mark.slow
@pytest.mark.parametrize("option", [["--config-dir=more"], ["hydra.searchpath=[file://more]"]], ids=["option", "word"])
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param([], id="in process"),
        pytest.param(["sweep.workers=2"], id="side by side", marks=pytest.mark.slow),
    ],
)
def test_choices_in_another_directory_are_found_by_each_job(option, launcher, command, jobs, tmp_path):
    (tmp_path / "more/model").mkdir(parents=True)
    shutil.copy(RESOURCE_DIR / "conf/model/linear.yaml", tmp_path / "more/model/mine.yaml")
    outcome = command("-m", *option, *launcher, "data=xor", "model=mine,mlp", "hydra.sweep.dir=s", *TINY)
    assert outcome.code == 0, outcome.err
    outcome = command("sweep", "resume", "s", "model=mine")
    assert outcome.code == 0, outcome.err
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 1)]
