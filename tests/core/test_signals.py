"""Signals stop a run or a sweep after saving; an out-of-memory error contains a correction."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from trainer.artifacts.run_record import RunRecord
from trainer.core import signals
from trainer.core.signals import Interrupted, interruptible, shutdown

pytestmark = pytest.mark.usefixtures("as_in_a_terminal", "user_module")
TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "model.net.dropout=0.5", "trainer.max_epochs=3"]
STOP = ["+callbacks.stop._target_=users.StopAt", "hydra.run.dir=run"]


CODES = {"SIGINT": 130, "SIGHUP SIGHUP": 129, "SIGTERM SIGTERM": 143, "SIGINT SIGTERM": 143}


@pytest.mark.slow
@pytest.mark.parametrize("names", CODES)
def test_signals_have_exit_statuses_and_a_second_one_stops_immediately(names, command, tmp_path):
    (tmp_path / "stop.txt").write_text(names)
    code = CODES[names]
    outcome = command(*TINY, *STOP)
    assert outcome.code == code
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    # after a second signal nothing is saved; a closed terminal sends several SIGHUP
    assert last["global_step"] == (27 if names in ("SIGINT", "SIGHUP SIGHUP") else 20)
    assert RunRecord(tmp_path / "run").state == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_two_sigterm_of_slurm_are_one_request(command, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    (tmp_path / "stop.txt").write_text("SIGTERM SIGTERM")
    assert command(*TINY, *STOP).code == 143
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["global_step"] == 27


def test_sighup_has_no_effect_if_it_was_ignored_at_the_start(command, tmp_path):
    (tmp_path / "stop.txt").write_text("SIGHUP")
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
    try:
        assert command(*TINY, *STOP).code == 0
    finally:
        signal.signal(signal.SIGHUP, handler)


@pytest.mark.parametrize(
    "train", [["callbacks=none", "trainer.max_epochs=1"], ["train=false", "ckpt_path=first/checkpoints/last.ckpt"]]
)
def test_a_signal_at_the_end_of_a_run_is_not_lost(train, command, tmp_path):
    if "train=false" in train:
        assert command(*TINY, "hydra.run.dir=first", "trainer.max_epochs=1").code == 0
    (tmp_path / "stop.txt").write_text("SIGTERM")
    outcome = command(*TINY, *train, "+callbacks.stop._target_=users.StopAtEnd", "hydra.run.dir=run")
    assert (outcome.code, outcome.err) == (143, "")
    assert RunRecord(tmp_path / "run").state == "interrupted"


@pytest.fixture
def quick_retries(monkeypatch):
    monkeypatch.setattr(signals, "RETRY_SECONDS", 0.05)


class Slow:
    """An object whose `__del__` takes longer than the interval of the retries."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.2)
        SWALLOWED.append("not reached")


SWALLOWED = []


def test_an_exception_that_is_lost_in_a_del_is_raised_again_without_a_message(quick_retries, capfd):
    SWALLOWED.clear()

    @interruptible()
    def run():
        slow = Slow()
        del slow
        assert SWALLOWED == []
        time.sleep(10)  # such as a download
        SWALLOWED.append("not interrupted")

    with pytest.raises(Interrupted, match="SIGTERM"):
        run()
    assert SWALLOWED == []
    assert capfd.readouterr() == ("", "")


def test_an_exception_that_a_library_swallows_is_raised_again(quick_retries):
    started_at = time.monotonic()

    @interruptible()
    def run():
        swallowed = 0
        signal.raise_signal(signal.SIGTERM)
        while True:
            try:
                time.sleep(10)
            except BaseException:
                swallowed += 1
            if swallowed == 3:
                shutdown.raise_if_due()

    with pytest.raises(Interrupted):
        run()
    assert time.monotonic() - started_at < 5


def test_a_block_never_ends_normally_after_a_signal():
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(signal.SIGINT)


def test_a_repeated_signal_does_not_reach_the_old_handlers(monkeypatch):
    monkeypatch.setattr(signals, "RETRY_SECONDS", 0.0001)
    received = []
    handler = signal.signal(signal.SIGTERM, lambda *_: received.append(True))
    try:
        for _ in range(100):

            @interruptible()
            def run():
                signal.raise_signal(signal.SIGTERM)
                time.sleep(0.001)

            with pytest.raises(Interrupted):
                run()
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert received == []


SLOW_EXIT = """
import atexit, os, signal, sys, time
import trainer.cli.main

def cleanup():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)

atexit.register(cleanup)
sys.argv = ["trainer", "--version"]
trainer.cli.main.main()
"""


def test_ctrl_c_in_the_cleanup_of_a_library_is_not_lost(tmp_path):
    process = subprocess.run([sys.executable, "-c", SLOW_EXIT], capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (-signal.SIGINT, "")


def test_cleanup_is_not_interrupted_again(quick_retries):
    finished = []

    @interruptible()
    def run():
        try:
            signal.raise_signal(signal.SIGTERM)
            time.sleep(10)
        finally:
            time.sleep(0.3)
            finished.append(True)

    with pytest.raises(Interrupted):
        run()
    assert finished


def test_a_signal_before_a_checkpoint_can_be_saved_requests_one():
    requests = []

    @interruptible()
    def run():
        signal.raise_signal(signal.SIGTERM)
        shutdown.save_by(lambda: requests.append(True))
        shutdown.raise_if_due()  # nothing is raised until it was saved
        shutdown.on_signal = None

    with pytest.raises(Interrupted):
        run()
    assert requests == [True]


@pytest.mark.slow
def test_a_run_whose_terminal_was_closed_saves(tmp_path):
    import pty

    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        command = ["-m", "trainer", *TINY, "trainer.max_epochs=100000", "logger=csv", "hydra.run.dir=run"]
        os.execv(sys.executable, [sys.executable, *command])
    while not (tmp_path / "run/checkpoints/last.ckpt").exists():
        os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert RunRecord(tmp_path / "run").state == "interrupted"


@pytest.mark.slow
def test_no_signal_is_lost_at_a_random_moment():
    times = os.environ.get("TRAINER_TEST_SIGNALS", "9")
    script = Path(__file__).parents[1] / "crash/interrupt.py"
    answer = subprocess.run([sys.executable, script, f"times={times}"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.slow
def test_a_signal_stops_the_whole_sweep(command, tmp_path):
    (tmp_path / "stop.txt").write_text("SIGTERM")
    outcome = command("-m", *TINY, STOP[0], "seed=1,2,3", "hydra.sweep.dir=sweep")
    assert outcome.code == 143
    assert [run.name for run in (tmp_path / "sweep").iterdir() if run.is_dir()] == ["0"]
    assert outcome.out.count("to resume: ") == outcome.out.count("to resume: trainer sweep resume sweep\n") == 1
    assert command("-m", *TINY, STOP[0], "seed=1,2,3", "hydra.sweep.dir=sweep", "resume=auto").code == 0
    assert {RunRecord(tmp_path / f"sweep/{number}").state for number in range(3)} == {"finished"}


def test_out_of_memory_names_the_batch_size_and_a_correction(command):
    outcome = command(*TINY, "model._target_=users.Greedy", "hydra.run.dir=run")
    assert outcome.code == 1
    assert "error: out of memory with data.batch_size=64: " in outcome.err
    assert "data.batch_size=32 trainer.accumulate_grad_batches=2" in outcome.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("arguments", [["data=xor"], ["check", "data=xor"]])
def test_ctrl_c_while_pytorch_is_imported_ends_the_command_without_a_traceback(arguments, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen([sys.executable, "-m", "trainer", *arguments], cwd=tmp_path, **pipes)
    while "libtorch_python" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
