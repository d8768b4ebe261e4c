"""Runs on two nodes, which are network namespaces of this machine: one run directory, restarts after a loss."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.training.distributed.processes import find_listening_addresses, find_processes

pytestmark = pytest.mark.slow
RUN = ["data=digits", "model=mlp", "model.net.dropout=0", "data.batch_size=32", "trainer.max_epochs=60", "logger=csv"]
RUN += ["callbacks=[checkpoint,progress]", "hydra.run.dir=run", "resume=auto"]
TWO_NODES = ["trainer=ddp_sim", "trainer.devices=1", "+trainer.num_nodes=2"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=3"]
TORCHRUN += ["--rdzv-backend=c10d", "--rdzv-endpoint=10.77.0.1:29400", "--rdzv-id=run"]
HEARTBEAT_SECONDS = 20  # until torchrun notices that a node was lost


@dataclass
class Node:
    """A network namespace with one address."""

    name: str
    address: str
    interface: str
    directory: Path

    def start(self, *command: str, **variables: str) -> "subprocess.Popen[bytes]":
        """Start a command on the node, in a session of its own."""
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": self.interface, **variables}
        with (self.directory / f"{self.interface}.txt").open("a") as output:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                cwd=self.directory,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def torchrun(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start torchrun, whose rendezvous is on the first node."""
        is_host = int(self.address == "10.77.0.1")  # torchrun compares host names, which are equal here
        options = [f"--rdzv-conf=is_host={is_host}", f"--local-addr={self.address}"]
        return self.start(*TORCHRUN, *options, "-m", "trainer", *TWO_NODES, *arguments)


@pytest.fixture
def nodes(tmp_path):
    """Return two connected nodes; kill all of their processes at the end."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the command ip")
    names = [f"trainer{os.getpid()}{letter}" for letter in "ab"]
    commands = [f"ip netns add {name}" for name in names]
    commands.append(f"ip link add node0 netns {names[0]} type veth peer name node1 netns {names[1]}")
    for number, name in enumerate(names):
        commands.append(f"ip -n {name} addr add 10.77.0.{number + 1}/24 dev node{number}")
        commands += [f"ip -n {name} link set {interface} up" for interface in ("lo", f"node{number}")]
    try:
        for command in commands:
            if subprocess.run(command.split(), capture_output=True).returncode:
                pytest.skip(f"not allowed: {command}")
        yield [Node(name, f"10.77.0.{n + 1}", f"node{n}", tmp_path) for n, name in enumerate(names)]
    finally:
        for name in names:
            listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for pid in listed.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@pytest.fixture
def expected(tmp_path):
    """Return the metrics.csv and the weights of a run of two processes on one machine."""
    command = [sys.executable, "-m", "trainer", "trainer=ddp_sim", *RUN, "hydra.run.dir=expected"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    return read_results(tmp_path / "expected")


def read_results(run):
    weights = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    return (run / "metrics.csv").read_text(), {name: value.tolist() for name, value in weights.items()}


def count_starts(directory):
    file = directory / "run/provenance.json"
    return 1 + len(json.loads(file.read_text()).get("resumed", [])) if file.exists() else 0


def wait_for_checkpoint(directory):
    deadline = time.monotonic() + 120
    while not (directory / "run/checkpoints/last.ckpt").exists():
        assert time.monotonic() < deadline, (directory / "node0.txt").read_text()[-3000:]
        time.sleep(0.02)


def find_rank(root):
    return next(
        pid
        for pid in find_processes(root)
        if b"trainer" in Path(f"/proc/{pid}/cmdline").read_bytes()
        and b"torch.distributed.run" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def test_a_run_continues_after_a_process_was_lost(nodes, expected, tmp_path):
    agents = [node.torchrun(*RUN) for node in nodes]
    wait_for_checkpoint(tmp_path)
    os.kill(find_rank(agents[1].pid), signal.SIGKILL)  # torchrun restarts all processes
    assert [agent.wait(300) for agent in agents] == [0, 0], (tmp_path / "node0.txt").read_text()[-3000:]
    assert_finished(tmp_path, expected)


def test_a_run_continues_after_a_node_was_lost(nodes, expected, tmp_path, monkeypatch):
    # torchrun 2.15 does not send the address of its shared store to a node that replaces another one
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    agents = [node.torchrun(*RUN) for node in nodes]
    wait_for_checkpoint(tmp_path)
    for pid in find_processes(agents[1].pid):
        os.kill(pid, signal.SIGKILL)
    agents[1].wait()
    time.sleep(HEARTBEAT_SECONDS)
    agents[1] = nodes[1].torchrun(*RUN)
    assert [agent.wait(300) for agent in agents] == [0, 0], (tmp_path / "node0.txt").read_text()[-3000:]
    assert_finished(tmp_path, expected)


def assert_finished(directory, expected):
    assert json.loads((directory / "run/result.json").read_text())["state"] == "finished"
    assert read_results(directory / "run") == expected
    assert count_starts(directory) == 2
    assert not (directory / "outputs").exists()


def test_nodes_that_are_started_manually_listen_on_the_address_of_their_network(nodes, tmp_path):
    variables = {"MASTER_ADDR": "10.77.0.1", "MASTER_PORT": "29500"}
    command = [sys.executable, "-m", "trainer", *TWO_NODES, *RUN, "trainer.max_epochs=100000"]
    processes = [node.start(*command, NODE_RANK=str(n), **variables) for n, node in enumerate(nodes)]
    wait_for_checkpoint(tmp_path)
    for node, process in zip(nodes, processes, strict=True):
        ours = find_processes(process.pid)
        addresses = {address for pid in ours for address in find_listening_addresses([pid], namespace=pid)}
        assert addresses == {node.address}
    processes[0].send_signal(signal.SIGTERM)
    assert processes[0].wait(60) == 143
    assert processes[1].wait(60) != 0
    assert [find_processes(process.pid) for process in processes] == [[], []]
