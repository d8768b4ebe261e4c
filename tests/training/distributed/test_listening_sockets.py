"""Runs on one machine listen on no external interface, and stores of several nodes on one address."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.distributed.processes import find_listening_addresses, find_processes
from trainer.training.distributed.rendezvous import Rendezvous, _listen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
WAIT = """
import socket
import time
from pathlib import Path
from pytorch_lightning import Callback

class Wait(Callback):
    def on_train_batch_start(self, trainer, *_):
        Path(f"training-{trainer.global_rank}").touch()
        while not Path("continue").exists():
            time.sleep(0.05)
"""
RUN = ["data=digits", "model=mlp", "trainer=ddp_sim", "trainer.max_epochs=1", "logger=none", "hydra.run.dir=run"]
WAITING = ["callbacks=[checkpoint]", "+callbacks.wait._target_=waiting.Wait"]


def external_hostname() -> list[str]:
    """Return a command prefix that names the machine by an external address, as gloo would then listen on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        address = probe.getsockname()[0]
    prefix = ["unshare", "--uts", "sh", "-c", f'hostname {address} && exec "$@"', "sh"]
    is_allowed = shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    return prefix if is_allowed else []


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        [sys.executable, "-m", "trainer"],
        pytest.param(
            [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", "-m", "trainer"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["trainer", "torchrun"],
)
def test_a_run_on_one_machine_listens_on_the_loopback_interface_only(launcher, tmp_path):
    (tmp_path / "waiting.py").write_text(WAIT)
    with (tmp_path / "output.txt").open("w") as output:
        command = [*external_hostname(), *launcher, *RUN, *WAITING]
        run = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output, start_new_session=True)
    while len([*tmp_path.glob("training-*")]) < 2:
        assert run.poll() is None, (tmp_path / "output.txt").read_text()
        time.sleep(0.05)
    command_lines = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in find_processes(run.pid)}
    ours = [pid for pid, line in command_lines.items() if "torch.distributed.run" not in line]  # torchrun has a store
    addresses = find_listening_addresses(ours)
    (tmp_path / "continue").touch()
    assert run.wait(120) == 0, (tmp_path / "output.txt").read_text()
    assert addresses  # those of gloo
    assert {*addresses} <= {"127.0.0.1", "::1"}


def test_a_store_of_several_nodes_listens_on_the_address_of_the_first_one():
    before = find_listening_addresses([os.getpid()])
    rendezvous = Rendezvous("127.0.0.1", 0, is_host=True)
    after = find_listening_addresses([os.getpid()])
    assert sorted(after) == sorted([*before, rendezvous.address])


def test_a_name_that_means_this_machine_only_here_is_not_used_as_an_address():
    assert _listen("localhost", 0) is None
    assert _listen("192.0.2.77", 0) is None  # of another machine
