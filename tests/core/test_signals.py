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

pytestmark = pytest.mark.usefixtures("as_in_a_terminal", "user_module")
TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "model.net.dropout=0.5", "trainer.max_epochs=3"]
STOP = ["+callbacks.stop._target_=users.StopAt", "hydra.run.dir=run"]


@pytest.mark.parametrize(("signals", "code"), [("SIGINT", 130), ("SIGTERM SIGTERM", 143), ("SIGINT SIGTERM", 143)])
def test_signals_have_exit_statuses_and_a_second_one_stops_immediately(signals, code, command, tmp_path):
    (tmp_path / "stop.txt").write_text(signals)
    outcome = command(*TINY, *STOP)
    assert outcome.code == code
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == (27 if signals == "SIGINT" else 20)  # after a second signal nothing is saved
    assert RunRecord(tmp_path / "run").state == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_a_signal_stops_the_whole_sweep(command, tmp_path):
    (tmp_path / "stop.txt").write_text("SIGTERM")
    outcome = command("-m", *TINY, STOP[0], "seed=1,2,3", "hydra.sweep.dir=sweep")
    assert outcome.code == 143
    assert [run.name for run in (tmp_path / "sweep").iterdir() if run.is_dir()] == ["0"]
    resumed = command("-m", *TINY, STOP[0], "seed=1,2,3", "hydra.sweep.dir=sweep", "resume=auto")
    assert resumed.code == 0, resumed.err
    assert {RunRecord(tmp_path / f"sweep/{number}").state for number in range(3)} == {"finished"}


def test_out_of_memory_names_the_batch_size_and_a_correction(command):
    outcome = command(*TINY, "model._target_=users.Greedy", "hydra.run.dir=run")
    assert outcome.code == 1
    assert "error: out of memory with data.batch_size=64: " in outcome.err
    assert "data.batch_size=32 trainer.accumulate_grad_batches=2" in outcome.err


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
