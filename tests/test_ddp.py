"""Runs with several processes, which have one result, use each example once and do not affect the next job."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DDP = ["data=digits", "model=mlp", "trainer=ddp_sim", "data.batch_size=32"]
OUTPUTS = ["callbacks=[checkpoint,progress]", "logger=csv"]


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the directory of a finished run of one epoch, which tests must not change."""
    directory = tmp_path_factory.mktemp("finished")
    command = [sys.executable, "-m", "trainer", *DDP, *OUTPUTS, "trainer.max_epochs=1", "hydra.run.dir=run"]
    variables = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "MASTER_ADDR": "127.0.0.1"}
    answer = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    (directory / "run/output.txt").write_text(answer.stdout)
    return directory / "run"


def read_result(run):
    return json.loads((Path(run) / "result.json").read_text())


def copy_run(run, target):
    subprocess.run(["cp", "-r", run, target], check=True)


def test_two_processes_train_one_network_into_one_directory(finished):
    result = read_result(finished)
    # 1257 training digits, divided among two processes, 32 per step
    assert result["steps"] == -(-629 // 32)
    assert result["metrics"]["test/accuracy"] > 0.4
    assert [path.name for path in finished.parent.iterdir()] == ["run"]
    # a fraction of 360 test digits, so none was used twice to pad the batches
    correct = result["metrics"]["test/accuracy"] * 360
    assert correct == pytest.approx(round(correct), abs=1e-3)
    assert "trainable parameters, on 2 x cpu" in (finished / "output.txt").read_text()


@pytest.mark.slow
def test_a_finished_run_is_extended_and_logs_each_step_once(finished, command, tmp_path):
    copy_run(finished, tmp_path / "run")
    outcome = command("resume", "run", "trainer.max_epochs=2")
    assert outcome.code == 0, outcome.err
    result = read_result(tmp_path / "run")
    assert (result["state"], result["epochs"], result["steps"]) == ("finished", 2, 40)
    steps = [row.split(",")[1] for row in (tmp_path / "run/metrics.csv").read_text().splitlines()[1:]]
    assert len(steps) == len({*steps}) + 2  # validation shares a step with training, in each epoch


@pytest.mark.slow
def test_an_extended_run_has_the_results_of_an_uninterrupted_one(finished, command, tmp_path):
    copy_run(finished, tmp_path / "run")
    assert command("resume", "run", "trainer.max_epochs=2").code == 0
    assert command(*DDP, *OUTPUTS, "trainer.max_epochs=2", f"hydra.run.dir={tmp_path}/uninterrupted").code == 0
    assert (tmp_path / "run/metrics.csv").read_bytes() == (tmp_path / "uninterrupted/metrics.csv").read_bytes()
    assert read_result(tmp_path / "run")["metrics"] == read_result(tmp_path / "uninterrupted")["metrics"]


@pytest.mark.slow
def test_a_script_without_a_guard_trains_once_with_any_command_line(finished, tmp_path):
    script = (
        "import pathlib, trainer\n"
        "file = pathlib.Path('starts.txt')\n"
        "file.write_text(file.read_text() + 'start ' if file.exists() else 'start ')\n"
        f"run = trainer.train(*{DDP + OUTPUTS}, 'trainer.max_epochs=1', 'hydra.run.dir=run')\n"
        "print('accuracy', run.metrics['test/accuracy'], run.checkpoint.name)\n"
    )
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "script.py", "--no-such-option"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    expected = read_result(finished)["metrics"]["test/accuracy"]
    assert answer.stdout.splitlines()[-1] == f"accuracy {expected} best.ckpt"
    assert (tmp_path / "starts.txt").read_text() == "start "


@pytest.mark.slow
@pytest.mark.parametrize("how", ["guard", "-c", "stdin", "interactive"])
def test_the_api_trains_from_all_kinds_of_programs(how, finished, tmp_path):
    train = f"trainer.train(*{DDP + OUTPUTS}, 'trainer.max_epochs=1', 'hydra.run.dir=run').metrics['test/accuracy']"
    program = f"import trainer\nif __name__ == '__main__':\n    print('accuracy', {train})\n\n"
    (tmp_path / "guard.py").write_text(program)
    arguments = {"guard": ["guard.py"], "-c": ["-c", program], "stdin": ["-"], "interactive": ["-i", "-"]}[how]
    command = [sys.executable, *arguments]
    answer = subprocess.run(command, cwd=tmp_path, input=program, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    assert f"accuracy {read_result(finished)['metrics']['test/accuracy']}" in answer.stdout


@pytest.mark.slow
def test_a_checkpoint_is_tested_by_two_processes_as_in_its_run(finished, command):
    outcome = command("test", str(finished), "+trainer=ddp_sim", "hydra.run.dir=tested")
    assert outcome.code == 0, outcome.err
    tested, trained = read_result("tested")["metrics"], read_result(finished)["metrics"]
    assert {name: trained[name] for name in tested} == tested
    assert "test/accuracy" in tested


def test_forked_processes_are_refused(command):
    outcome = command(*DDP, "trainer.strategy=ddp_spawn")
    assert outcome.code == 1
    assert "trainer.strategy: 'ddp_spawn' trains in copies of this process" in outcome.err
    assert "expected trainer.strategy=ddp" in outcome.err


def test_a_class_of_the_script_is_refused(command, monkeypatch):
    from trainer.model.mlp import MLP

    monkeypatch.setattr(sys.modules["__main__"], "Net", MLP, raising=False)
    outcome = command(*DDP, "model.net._target_=__main__.Net")
    assert outcome.code == 1
    assert "__main__.Net: other processes cannot import what a script or a notebook defines" in outcome.err


JOBS = ["-m", *DDP, *OUTPUTS, "trainer.max_epochs=1", "seed=1,2", "hydra.sweep.dir=sweep"]
LAUNCHERS = {
    "serial": [],
    "parallel": ["sweep.workers=2"],
    "joblib": ["hydra/launcher=joblib"],
    "submitit": ["hydra/launcher=submitit_local"],
    "ray": ["hydra/launcher=ray"],
}
NEEDED = {"joblib": "hydra_plugins.hydra_joblib_launcher", "submitit": "submitit", "ray": "ray"}


@pytest.mark.slow
@pytest.mark.parametrize("how", LAUNCHERS)
def test_each_job_of_a_sweep_may_use_several_processes(how, process, finished, tmp_path):
    if how in NEEDED:
        pytest.importorskip(NEEDED[how])
    outcome = process(*JOBS, *LAUNCHERS[how])
    assert outcome.code == 0, outcome.out + outcome.err
    results = [read_result(tmp_path / "sweep" / name) for name in "01"]
    assert [result["state"] for result in results] == ["finished"] * 2
    assert [result["seed"] for result in results] == [1, 2]
    assert results[0]["metrics"] == read_result(finished)["metrics"]
    assert results[1]["metrics"] != results[0]["metrics"]


@pytest.mark.slow
def test_a_trial_with_several_processes_is_pruned_and_saved(process, tmp_path):
    search = ["optimizer.lr=choice('0.01','0.00001')", "optimized_metric=val/loss", "sweep.n_trials=2"]
    sampler = "sweep.sampler={_target_:optuna.samplers.GridSampler,search_space:{optimizer.lr:['0.01','0.00001']}}"
    pruner = "sweep.pruner={_target_:optuna.pruners.ThresholdPruner,upper:2.2}"
    outcome = process("-m", *DDP, *OUTPUTS, *search, sampler, pruner, "trainer.max_epochs=3", "hydra.sweep.dir=s")
    assert outcome.code == 0, outcome.out + outcome.err
    results = [read_result(tmp_path / "s" / name) for name in "01"]
    assert sorted((result["state"], result["epochs"]) for result in results) == [("finished", 3), ("pruned", 1)]
    for name in "01":
        assert (tmp_path / "s" / name / "checkpoints/last.ckpt").is_file()


@pytest.mark.slow
def test_parallel_jobs_of_joblib_have_the_same_results_as_serial_ones(process, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    jobs = ["-m", "experiment=xor_mlp", "trainer.max_epochs=20", "seed=1,2"]
    results = []
    for name, overrides in {"serial": [], "parallel": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]}.items():
        (tmp_path / name).mkdir()
        outcome = process(*jobs, *overrides, cwd=tmp_path / name)
        assert outcome.code == 0, outcome.err
        jobs_results = [json.loads((run / "result.json").read_text()) for run in sorted(outcome.runs)]
        results.append([(result["seed"], result["metrics"]) for result in jobs_results])
    assert [seed for seed, _ in results[0]] == [1, 2]
    assert results[0] == results[1]
