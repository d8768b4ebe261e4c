"""Sweeps whose jobs are trained together in one process."""

import json
import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.training.fused.run_comparison import compare_metrics, find_differences
from trainer.sweeps.executors.fused import FusedExecutor
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.trial_store import TrialLedger

XOR = ["data=xor", "model=mlp", "model.net.hidden=[4]", "trainer.max_epochs=1"]
TINY = [*XOR, "callbacks=[fast_loop]", "logger=none", "+trainer.limit_train_batches=4"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
FUSED = ["hydra.sweep.dir=s", "sweep.workers=1", "sweep.fuse=true"]
RATE = "optimizer.lr=tag(log,interval(0.0001,1))"


def process_ids(jobs):
    return [job.pid for job in jobs]


def test_states_results_and_directories_are_those_of_separate_processes(command, jobs, tmp_path):
    args = ["-m", *XOR, "optimizer.lr=0.01,0.1", "seed=1,2"]
    fused = command(*args, *FUSED)
    assert fused.code == 0, fused.err
    separate = command(*args, "hydra.sweep.dir=alone", "sweep.workers=1", "sweep.fuse=false")
    assert separate.code == 0, separate.err
    reference = Ledger(tmp_path / "alone").jobs()
    assert [(job.state, job.attempts, job.identity, job.overrides) for job in jobs()] == [
        (job.state, job.attempts, job.identity, job.overrides) for job in reference
    ]
    assert len({*process_ids(jobs())}) == 1
    assert len({*process_ids(reference)}) == 4
    for number in range(4):
        assert find_differences(tmp_path / "alone" / str(number), tmp_path / "s" / str(number)) == []
    for name in ("report.csv", "best.yaml", "output/3.log"):
        assert (tmp_path / "s" / name).is_file()
    output = (tmp_path / "s/output/3.log").read_text()
    assert "s/3/result.json" in output
    assert "s/2/result.json" not in output


@pytest.mark.slow
def test_more_jobs_than_the_limit_run_in_several_groups(command, jobs):
    outcome = command("-m", *TINY, "seed=range(1,8)", "hydra.sweep.dir=s", "sweep.workers=2", "sweep.fuse=3")
    assert outcome.code == 0, outcome.err
    ids = process_ids(jobs())
    assert len({*ids}) == 3
    assert max(ids.count(number) for number in ids) == 3


@pytest.mark.slow
def test_failed_jobs_are_retried_and_resumed_and_do_not_affect_others(command, jobs, pieces):
    args = ["-m", *TINY, WAIT, "+callbacks.wait.fails='',always", "seed=1,2", *FUSED, "sweep.retries=1"]
    outcome = command(*args)
    assert outcome.code == 1
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 1), ("failed", 2), ("failed", 2)]
    assert "RuntimeError: requested failure: always" in outcome.err
    assert "Traceback" not in outcome.err
    (pieces / "healed").touch()
    assert command("sweep", "resume", "s").code == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 1), ("done", 3), ("done", 3)]


@pytest.mark.slow
def test_a_crash_of_the_process_fails_its_jobs_and_they_are_retried(command, jobs, pieces):
    args = ["-m", *TINY, WAIT, "+callbacks.wait.fails=segfault", "seed=1,2", *FUSED]
    outcome = command(*args)
    assert outcome.code == 1
    assert {job.state for job in jobs()} == {"failed"}
    assert "killed by SIGSEGV" in outcome.err
    (pieces / "healed").touch()
    assert command("sweep", "resume", "s").code == 0
    assert [job.state for job in jobs()] == ["done", "done"]


@pytest.mark.slow
def test_a_finished_sweep_is_extended_by_new_jobs(command, jobs):
    assert command("-m", *TINY, "seed=1,3", *FUSED).code == 0
    previous = jobs()
    wider = command("sweep", "resume", "s", "seed=1,2,3", "optimizer.lr=0.001,0.1")
    assert wider.code == 0, wider.err
    assert jobs()[:2] == previous
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1)] * 6


def test_invalid_settings_are_one_error(command, jobs):
    for value in ("sometimes", "1", "-2"):
        outcome = command("-m", *TINY, "seed=1,2", "hydra.sweep.dir=s", "sweep.workers=1", f"sweep.fuse={value}")
        assert outcome.code == 1
        assert f"sweep.fuse: {value} is invalid; expected auto, true, false, or a number of jobs above 1" in outcome.err
        assert "Traceback" not in outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["true", "auto"])
def test_a_job_that_only_its_run_recognizes_as_not_fusable_is_an_error_or_says_so(setting, command, jobs):
    outcome = command("-m", *TINY, "optimizer.layer_decay=0.5", "seed=1,2", *FUSED, f"sweep.fuse={setting}")
    reason = "the optimizer has several parameter groups"
    if setting == "true":
        assert outcome.code == 1
        assert [job.error for job in jobs()] == [f"sweep.fuse: {reason}; expected auto or false"] * 2
    else:
        assert outcome.code == 0, outcome.err
        for number in (0, 1):
            output = Path(f"s/output/{number}.log").read_text()
            assert f"steps  not computed together with those of other jobs: {reason}" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["optimizer=muon", "model.net.hidden=[4,4]"], "the optimizer is not SGD, Adam or AdamW"),
        (["callbacks=[fast_loop,swa]", "callbacks.swa.start_epoch=0"], "a callback averages the weights"),
        (["callbacks=[fast_loop,lookahead]"], "Lookahead is called at every step"),
    ],
)
def test_other_optimizers_and_averages_are_not_fusable(overrides, reason, command, jobs):
    outcome = command("-m", *TINY, *overrides, "seed=1,2", *FUSED)
    assert outcome.code == 1
    assert [job.error for job in jobs()] == [f"sweep.fuse: {reason}; expected auto or false"] * 2


@pytest.mark.parametrize("arguments", [["-m"], ["-m", "--plan"]])
def test_a_recurrent_network_is_one_error_that_names_the_layer_before_the_first_job(arguments, command):
    lstm = ["data=stock", "data.synthetic=true", "model=lstm", "trainer.max_epochs=1"]
    outcome = command(*arguments, *lstm, "seed=1,2", *FUSED)
    assert outcome.code == 1
    assert (
        "sweep.fuse: PyTorch cannot batch recurrent layers: LSTM; expected auto or false"
        "  (command line: sweep.fuse=true)  (jobs 0-1)"
    ) in outcome.err
    assert "Traceback" not in outcome.err
    assert not Path("s").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "n_processes"), [("true", 1), ("auto", 4)])
def test_a_search_is_fused_only_on_request(setting, n_processes, command, tmp_path):
    args = ["-m", *TINY, RATE, "optimized_metric=val/loss", "sweep.n_trials=4", f"sweep.fuse={setting}"]
    outcome = command(*args, "hydra.sweep.dir=s", "sweep.workers=1")
    assert outcome.code == 0, outcome.err
    trials = TrialLedger(tmp_path / "s").trials()
    assert [trial.job.state for trial in trials] == ["done"] * 4
    assert len({trial.values["optimizer.lr"] for trial in trials}) == 4
    assert len({*process_ids([trial.job for trial in trials])}) == n_processes


@pytest.mark.slow
def test_commands_work_on_a_run_that_was_trained_with_others(command, tmp_path):
    args = ["-m", "data=digits", "model=mlp", "model.net.hidden=[8]", "trainer.max_epochs=2", "seed=1,2"]
    assert command(*args, *FUSED).code == 0
    assert command(*args, "hydra.sweep.dir=alone", "sweep.workers=1", "sweep.fuse=false").code == 0
    tested = command("test", "s/1")
    assert tested.code == 0, tested.err
    exported = command("export", "s/1", "--format", "torch")
    assert exported.code == 0, exported.err
    runs = [tmp_path / folder / "1" for folder in ("alone", "s")]
    for run in ("alone/1", "s/1"):
        resumed = command("resume", run, "trainer.max_epochs=3")
        assert resumed.code == 0, resumed.err
    assert json.loads((runs[1] / "result.json").read_text())["epochs"] == 3
    assert find_differences(*runs) == []


@pytest.mark.slow
def test_a_replay_has_equal_metrics_except_for_rounding(command, tmp_path):
    args = ["-m", "data=digits", "model=mlp", "model.net.hidden=[8]", "trainer.max_epochs=2", "seed=1,2"]
    assert command(*args, *FUSED).code == 0
    replayed = command("replay", "s/1")
    assert "config       identical" in replayed.out
    [replay] = (tmp_path / "outputs/replays").iterdir()
    assert [*compare_metrics(tmp_path / "s/1", replay)] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_jobs_of_a_group_save_after_a_signal_and_are_resumed(number, command, jobs, start_sweep, wait_until, pieces):
    slow = ["+callbacks.slow._target_=pieces.Slow"]
    args = [*XOR[:3], "trainer.max_epochs=5", *slow, "seed=1,2,3"]
    sweep = start_sweep(*args, "+callbacks.slow.progress=epochs", "sweep.workers=1", "sweep.fuse=true")
    files = [pieces / f"epochs-{job}" for job in range(3)]
    wait_until(lambda: all(file.exists() for file in files), sweep)
    os.kill(sweep.pid, number)
    assert sweep.wait(60) == 128 + number
    assert [(job.state, job.attempts) for job in jobs()] == [("interrupted", 1)] * 3
    results = [json.loads((pieces / f"s/{job}/result.json").read_text()) for job in range(3)]
    assert [result["state"] for result in results] == ["interrupted"] * 3
    assert all((pieces / f"s/{job}/checkpoints/last.ckpt").is_file() for job in range(3))
    outcome = command("sweep", "resume", "s")
    assert outcome.code == 0, outcome.err
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 2)] * 3
    assert [len(file.read_text()) for file in files] == [5] * 3
    alone = command("-m", *args[:-2], "+callbacks.slow={_target_: pieces.Slow}", args[-1], "hydra.sweep.dir=alone")
    assert alone.code == 0, alone.err
    for job, other in zip(jobs(), Ledger(pieces / "alone").jobs(), strict=True):
        metrics, expected = (item.result["metrics"] for item in (job, other))
        assert [*metrics] == [*expected]
        assert all(math.isclose(metrics[name], expected[name], rel_tol=1e-5) for name in metrics), (metrics, expected)


def test_a_job_that_is_stopped_before_its_start_is_not_started(tmp_path):
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs([], {"a": ["seed=1"], "b": ["seed=2"]})
    executor = FusedExecutor(ledger, [{}], SimpleNamespace(max_size=2, is_required=False, find_group=lambda job: ()))
    handles = [executor.submit(job, job.overrides) for job in ledger.jobs()]
    for handle in handles:
        handle.stop()
    executor.start()
    assert executor.capacity() == 2
    assert all(handle.done() for handle in handles)
    assert {handle.exit().code for handle in handles} == {128 + signal.SIGTERM}
    assert all(handle.group is None for handle in handles)


def test_a_cluster_trains_no_jobs_together(command):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="not installed: make install-dev")
    outcome = command("-m", *TINY, "seed=1,2", "hydra/launcher=submitit_local", "sweep.fuse=true", "hydra.sweep.dir=s")
    assert outcome.code == 1
    assert "sweep.fuse: true is supported only for jobs of this machine; expected auto or false" in outcome.err
