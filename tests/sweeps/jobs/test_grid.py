"""Expansion of a command to jobs, and their identities."""

import re
import subprocess
import sys

import pytest

from trainer.artifacts.fingerprint import IGNORED_KEYS
from trainer.config.compose import Composer
from trainer.core.errors import UserError
from trainer.sweeps.jobs.grid import expand
from trainer.sweeps.jobs.identity import Identities, compose_resolved, drop_ignored

CLIPPING, HISTOGRAMS = "trainer.callbacks.gradient_clipping.GradientClipping", "trainer.callbacks.histograms.Histograms"


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    composer = Composer()

    def expand_overrides(*overrides):
        """Return the overrides of each job, without the common ones and those of the sweep."""
        jobs_found = expand(composer, overrides)
        shared = set(jobs_found[0]).intersection(*jobs_found) if len(jobs_found) > 1 else set()
        return [
            [override for override in job if override not in shared and not override.startswith("sweep.")]
            for job in jobs_found
        ]

    return expand_overrides


def test_every_combination_comes_in_the_order_of_hydra(jobs):
    assert jobs("seed=1,2", "model=mlp,cnn") == [
        ["seed=1", "model=mlp"],
        ["seed=1", "model=cnn"],
        ["seed=2", "model=mlp"],
        ["seed=2", "model=cnn"],
    ]


def test_zipped_keys_go_in_step(jobs):
    zipped = jobs("model=mlp,linear", "seed=1,2", "optimizer.lr=0.1,0.2", "sweep.zip=[model,optimizer.lr]")
    assert zipped == [
        ["model=mlp", "optimizer.lr=0.1", "seed=1"],
        ["model=mlp", "optimizer.lr=0.1", "seed=2"],
        ["model=linear", "optimizer.lr=0.2", "seed=1"],
        ["model=linear", "optimizer.lr=0.2", "seed=2"],
    ]
    both = "sweep.zip=[[model,seed],[optimizer.lr,data.batch_size]]"
    assert len(jobs("model=mlp,linear", "seed=1,2", "optimizer.lr=0.1,0.2", "data.batch_size=1,2", both)) == 4


def test_several_grids_are_run_one_after_another(jobs):
    grids = 'sweep.grids=["model=mlp optimizer.lr=0.1,0.2","model=linear"]'
    assert [" ".join(job) for job in jobs("seed=1,2", grids)] == [
        "seed=1 model=mlp optimizer.lr=0.1",
        "seed=1 model=mlp optimizer.lr=0.2",
        "seed=2 model=mlp optimizer.lr=0.1",
        "seed=2 model=mlp optimizer.lr=0.2",
        "seed=1 model=linear",
        "seed=2 model=linear",
    ]


def test_each_job_is_repeated_with_several_seeds(jobs):
    assert jobs("optimizer.lr=0.1,0.2", "seed=7", "sweep.seeds=2") == [
        ["optimizer.lr=0.1", "seed=7"],
        ["optimizer.lr=0.1", "seed=8"],
        ["optimizer.lr=0.2", "seed=7"],
        ["optimizer.lr=0.2", "seed=8"],
    ]


def test_each_job_is_repeated_with_each_fold_of_a_cross_validation(jobs):
    assert jobs("optimizer.lr=0.1,0.2", "sweep.seeds=2", "sweep.folds=2") == [
        [f"optimizer.lr={lr}", f"seed={seed}", f"data.fold={fold}"]
        for lr in (0.1, 0.2)
        for seed in (1, 2)
        for fold in (0, 1)
    ]


def test_more_samples_start_with_the_same_ones_and_are_in_the_interval(jobs):
    axes = ["optimizer.lr=tag(log,interval(0.0001,0.1))", "model=mlp,linear", "data.batch_size=int(interval(1,4))"]
    few, many = jobs(*axes, "sweep.random_samples=5"), jobs(*axes, "sweep.random_samples=40")
    assert many[:5] == few
    assert len({*map(tuple, many)}) == 40
    rates = [
        float(override.partition("=")[2]) for job in many for override in job if override.startswith("optimizer.lr")
    ]
    assert all(0.0001 <= rate <= 0.1 for rate in rates)
    assert 10 < sum(rate < 0.00316 for rate in rates) < 30  # half of them below the geometric mean
    assert {override for job in many for override in job if override.startswith("data")} == {
        f"data.batch_size={size}" for size in (1, 2, 3, 4)
    }
    assert jobs(*axes, "sweep.random_samples=5", "sweep.sample_seed=2") != few


def test_samples_of_integers_use_a_logarithmic_scale(jobs):
    many = jobs("data.batch_size=int(tag(log,interval(1,1000)))", "sweep.random_samples=60")
    sizes = [int(override.partition("=")[2]) for (override,) in many]
    assert all(1 <= size <= 1000 for size in sizes)
    assert 15 < sum(size < 32 for size in sizes) < 45  # half of them are below the geometric mean


def test_a_small_space_has_no_more_samples_than_points(jobs):
    assert len(jobs("model=mlp,linear", "seed=1,2", "sweep.random_samples=20")) == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=range(3,3)"], "seed: sweep axis without values; expected at least one"),
        (["experiment=glob(zzz*)"], "experiment: sweep axis without values; expected at least one"),
        (
            ["optimizer.lr=interval(0.1,1)"],
            "optimizer.lr: an interval is not a list of values; expected sweep.random_samples=20 to draw from it, "
            "or sweep.n_trials=20 to search it",
        ),
        (
            ["seed=1,2", "sweep.zip=[seed,modle]", "model=a,b"],
            "sweep.zip: 'modle' is not an axis with a list of values; did you mean 'model'",
        ),
        (["seed=1,2,3", "model=mlp,cnn", "sweep.zip=[seed,model]"], "seed has 3, model has 2"),
        (["sweep.folds=1"], "sweep.folds: 1 is too small; expected null or at least 2"),
        (["sweep.folds=3", "data.fold=0,1"], "sweep.folds: data.fold is also set; expected only one of them"),
        (["sweep.folds=3", "data=mnist"], "sweep.folds: these data have no key data.folds; expected data that are"),
        (["seed=1,2", "sweep.seeds=3"], "sweep.seeds: seed is also an axis; expected only one of them"),
        (
            ["optimizer.lr=interval(1,0.1)", "sweep.random_samples=2"],
            "optimizer.lr: empty interval from 1 to 0.1; did you mean interval(0.1,1)",
        ),
        (
            ["optimizer.lr=tag(log,interval(0,1))", "sweep.random_samples=2"],
            "optimizer.lr: logarithmic scale from 0; expected a lower bound above 0",
        ),
    ],
)
def test_an_invalid_grid_is_an_error(overrides, message, jobs):
    with pytest.raises(UserError, match=re.escape(message)):
        jobs(*overrides)


@pytest.mark.parametrize("key", ["seeds", "random_samples", "n_trials", "workers", "jobs_per_gpu"])
def test_a_count_of_0_is_an_error_and_not_null(key, command):
    outcome = command("-m", "data=xor", "optimizer.lr=0.1,0.2", f"sweep.{key}=0", "hydra.sweep.dir=s")
    message = f"error: sweep.{key}: 0 is too small; expected null or a whole number of at least 1\n"
    assert (outcome.code, outcome.err) == (1, message)
    assert not (outcome.directory / "s").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=diabetes_mlp", "seed=1,2", "model.net.hidden=[4],[8]"],  # data_seed refers to seed
        ["model=mlp,linear", "optimizer.lr=0.1,0.2", "tags=[a],[b]"],
        ["+trainer.max_steps=3,4", "model.net.dropout=0,0.5"],
        ["model.monitor=val/loss,val/accuracy", "callbacks.checkpoint.mode=min"],
        ["data={batch_size:4},{batch_size:8}", "seed=1,2"],
        ["~callbacks.prediction_images", "optimizer.lr=0.1,1e-1,'0.1'"],
        ["optimizer.lr=${seed},2", "seed=1,2"],
        [f"+callbacks.o._target_={HISTOGRAMS},{CLIPPING}", "seed=1,2"],  # one of the classes affects the results
    ],
    ids=" ".join,
)
def test_identities_from_templates_equal_those_of_composed_configs(overrides, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    composer = Composer()
    overrides = [override if not override.startswith("model.monitor") else f"+{override}" for override in overrides]
    jobs_found = expand(composer, overrides)
    quick = Identities(composer)
    slow = [Identities(composer).of(job) for job in jobs_found]
    assert [quick.of(job) for job in jobs_found] == slow
    assert len({*slow}) == len({str(drop_ignored(compose_resolved(composer, job))) for job in jobs_found})


def test_settings_without_effect_on_the_results_are_not_part_of_the_identity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    identities = Identities(Composer())
    assert identities.of(["tags=[a]", "outputs=elsewhere"]) == identities.of([]) != identities.of(["seed=2"])
    assert "sweep" in IGNORED_KEYS


@pytest.mark.slow
def test_ten_thousand_jobs_are_planned_without_torch(tmp_path):
    script = (
        "import sys\n"
        "from trainer.cli.commands import run_command\n"
        "words = ['seed=range(0,2500)', 'model=mlp,linear', 'optimizer.lr=0.1,0.2']\n"
        "assert run_command('sweep', ['plan', *words]) == 0\n"
        "assert not {'torch', 'pytorch_lightning', 'numpy'} & set(sys.modules)\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[-2] == "10000 jobs, 10000 to run; remaining time unknown until a job is done"
    assert "seed=2499 model=linear optimizer.lr=0.2" in lines[-3]
