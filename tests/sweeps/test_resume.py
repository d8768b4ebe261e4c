"""Resuming and extending a sweep."""

import json

import pytest

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
SWEEP = "hydra.sweep.dir=s"


def files(directory):
    """Return the content and the time of all files of the jobs."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.glob("[0-9]*/**/*.json")}


@pytest.mark.slow
def test_repeating_a_command_runs_no_job_that_is_done(command, jobs):
    first = command("-m", *TINY, "seed=1,2", SWEEP)
    assert first.code == 0, first.err
    previous = files(first.directory / "s")
    assert [job.state for job in jobs()] == ["done", "done"]
    repeated = command("-m", *TINY, "seed=1,2", SWEEP)
    assert repeated.code == 0, repeated.err
    assert files(first.directory / "s") == previous
    assert [job.attempts for job in jobs()] == [1, 1]


@pytest.mark.slow
def test_a_plan_lists_the_states_of_jobs_and_runs_none(command, jobs):
    command("-m", *TINY, "seed=1,2", SWEEP)
    previous = jobs()
    plan = command("-m", *TINY, "seed=1,2,3", SWEEP, "--plan")
    assert plan.code == 0, plan.err
    first, second, third, summary = plan.out.splitlines()
    assert first.split()[:2] == ["#0", "done"]
    assert second.split()[:2] == ["#1", "done"]
    assert third.split()[:2] == ["#2", "planned"]
    assert third.endswith(" ".join([*TINY, "seed=3"]))
    assert summary.startswith("3 jobs, 1 to run; about ")
    assert jobs() == previous
    wrong = command("-m", *TINY, "seed=1,2", "model.net.hiden=[3],[4]", "--plan")
    assert wrong.code == 1
    assert "model.net.hiden: no such key; did you mean 'hidden'?" in wrong.err


def test_the_ledger_has_the_result_and_the_fingerprint_of_every_job(command, jobs):
    outcome = command("-m", *TINY, "seed=1,2", SWEEP)
    for job in jobs():
        result = json.loads((outcome.directory / f"s/{job.number}/result.json").read_text())
        assert job.result == result
        assert job.identity == result["fingerprint"]
        assert job.overrides == [*TINY, f"seed={job.number + 1}"]
        assert 0 < job.result["seconds"] <= job.seconds


def test_resume_runs_only_failed_and_missing_jobs(command, jobs, pieces):
    args = ["-m", *TINY, WAIT, "+callbacks.wait.fails='',always", "seed=1,2", SWEEP]
    first = command(*args)
    assert first.code == 1
    assert "2 of 4 jobs failed" in first.err
    assert "RuntimeError: requested failure: always" in first.err
    assert "trainer sweep resume s" in first.err
    assert [job.state for job in jobs()] == ["done", "done", "failed", "failed"]
    (pieces / "healed").touch()
    repeated = command("sweep", "resume", "s")
    assert repeated.code == 0, repeated.err
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 1), ("done", 2), ("done", 2)]


@pytest.mark.slow
def test_more_values_on_an_axis_are_new_jobs_with_new_numbers(command, jobs):
    command("-m", *TINY, "seed=1,3", SWEEP)
    wider = command("sweep", "resume", "s", "seed=1,2,3", "model=mlp,linear")
    assert wider.code == 0, wider.err
    assert [(job.number, job.attempts) for job in jobs()] == [(number, 1) for number in range(6)]
    assert [job.overrides[-1] for job in jobs()][:2] == ["seed=1", "seed=3"]
    assert sorted(job.result["seed"] for job in jobs()) == [1, 1, 2, 2, 3, 3]


@pytest.mark.slow
def test_a_changed_experiment_is_an_error(command, tmp_path, jobs):
    (tmp_path / "experiments").mkdir()
    file = tmp_path / "experiments/mine.yaml"
    file.write_text("optimizer:\n  lr: 0.1\n")
    assert command("-m", "experiment=mine", *TINY, "seed=1", SWEEP).code == 0
    file.write_text("optimizer:\n  lr: 0.2\n")
    changed = command("-m", "experiment=mine", *TINY, "seed=1,2", SWEEP)
    assert changed.code == 1
    assert "the config of job 0 of 's'" in changed.err
    assert "optimizer.lr: 0.1 then, 0.2 now" in changed.err
    assert len(jobs()) == 1
    assert "optimizer.lr: 0.1 then" in command("sweep", "resume", "s").err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr=0.2", "optimizer.lr: 0.1 in the sweep, 0.2 in this command"),
        ("model=linear", "model: not set in the sweep, linear in this command"),
    ],
)
def test_other_settings_for_all_jobs_are_an_error(override, message, command, jobs):
    assert command("-m", *TINY, "optimizer.lr=0.1", "seed=1", SWEEP).code == 0
    other = command(
        "-m", *TINY, *({"optimizer.lr=0.1", override} if "lr" not in override else {override}), "seed=1,2", SWEEP
    )
    assert other.code == 1
    assert message in other.err
    assert len(jobs()) == 1


@pytest.mark.slow
def test_settings_without_effect_on_the_results_may_change(command, jobs):
    assert command("-m", *TINY, "seed=1", SWEEP).code == 0
    other = command("-m", *TINY, "tags=[again]", "optimized_metric=val/loss", "sweep.retries=1", "seed=1,2", SWEEP)
    assert other.code == 0, other.err
    assert [job.attempts for job in jobs()] == [1, 1]


@pytest.mark.slow
def test_display_callbacks_may_be_added_and_changed(command, jobs):
    args = [override for override in TINY if override != "callbacks=none"]
    assert command("-m", *args, "seed=1", SWEEP).code == 0
    display = ["callbacks=[default,histograms]", "callbacks.progress.seconds_between_lines=5", "~callbacks.throughput"]
    other = command("-m", *args, *display, "seed=1,2", SWEEP)
    assert other.code == 0, other.err
    assert [job.attempts for job in jobs()] == [1, 1]


def test_a_duplicate_job_is_logged_and_run_once(command, jobs):
    outcome = command("-m", *TINY, "optimizer.lr=0.1,1e-1,0.2", SWEEP)
    assert outcome.code == 0, outcome.err
    assert "duplicate, run once:" in outcome.out
    assert len(jobs()) == 2


@pytest.mark.slow
def test_an_interrupted_sweep_is_resumed(command, jobs, pieces):
    (pieces / "impatient.py").write_text(
        "from pathlib import Path\n"
        "from pytorch_lightning import Callback\n"
        "class Impatient(Callback):\n"
        "    def on_train_start(self, trainer, pl_module):\n"
        "        if not Path('healed').exists():\n"
        "            raise KeyboardInterrupt\n"
    )
    outcome = command("-m", *TINY, "+callbacks.impatient._target_=impatient.Impatient", "seed=1,2", SWEEP)
    assert outcome.code != 0
    assert [job.state for job in jobs()] == ["interrupted", "planned"]
    (pieces / "healed").touch()
    assert command("sweep", "resume", "s").code == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 2), ("done", 1)]


@pytest.mark.slow
def test_another_launcher_replaces_the_settings_of_the_first_one(command, jobs):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="not installed: make install-dev")
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]
    assert command("-m", *TINY, "seed=1", SWEEP, *joblib).code == 0
    outcome = command("sweep", "resume", "s", "hydra/launcher=basic", "seed=1,2")
    assert outcome.code == 0, outcome.err
    assert [job.state for job in jobs()] == ["done", "done"]
