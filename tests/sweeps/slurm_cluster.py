"""Real Slurm of several nodes on this machine, for tests; listens only on the loopback device and needs root.

python tests/sweeps/slurm_cluster.py [--nodes 2] [--cpus 1] [--tracking linuxproc]

Each `slurmd` runs in namespaces of its own, so a node has its own host name and process ids as a real machine does;
files are shared. All files are stored in one directory. There is no accounting, as in a default installation.
"""

import argparse
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = (
    *("munged", "slurmctld", "slurmd", "slurmstepd", "sbatch", "srun", "squeue", "scontrol", "scancel"),
    *("unshare", "nsenter"),
)
SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
START_SECONDS = 60.0
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.sock,cred_expire=5
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool.%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.%n.log
ProctrackType=proctrack/{tracking}
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue={requeue}
ReturnToService=2
KillWait={kill_wait}
SlurmdTimeout=10
SlurmctldTimeout=10
MessageTimeout=10
{nodes}
PartitionName=main Nodes=ALL Default=YES DefaultTime=60 MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL DefaultTime=60 MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""
# a node resolves its own name, and sees only its own processes
NODE_COMMAND = """
hostname {name}
(cat /etc/hosts; echo 127.0.0.1 {names}) > {directory}/hosts.{name}
mount --bind {directory}/hosts.{name} /etc/hosts
exec {slurmd} -D -N {name} -d {slurmstepd}
"""


def find_missing_requirement() -> str | None:
    """Return the reason why no cluster can be started here, or None."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=SEARCH_PATH)]
    if missing:
        return f"Slurm is not installed: {', '.join(missing)}"
    return None if os.geteuid() == 0 else "starting Slurm requires root"


class SlurmCluster:
    """A Slurm cluster with the preemptible partition `main` and the partition `high`.

    Args:
        directory: Directory of all its files.
        nodes: Number of nodes, named node1, node2, ...
        cpus: Cores of each node.
        tracking: Process tracking: `linuxproc` signals all processes of a step, `cgroup` only its first one.
        kill_wait: Seconds between SIGTERM and SIGKILL.
        requeue: Whether jobs may be requeued unless they request the opposite.
    """

    def __init__(
        self,
        directory: Path,
        nodes: int = 2,
        cpus: int = 1,
        tracking: str = "linuxproc",
        kill_wait: int = 30,
        requeue: bool = True,
    ) -> None:
        self.directory = directory
        self.names = [f"node{number}" for number in range(1, nodes + 1)]
        self.environment = {**os.environ, "SLURM_CONF": str(directory / "slurm.conf"), "PATH": SEARCH_PATH}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (directory / "state").mkdir(parents=True, exist_ok=True)
        ports = find_free_ports(nodes + 1)
        lines = [
            f"NodeName={name} NodeHostname={name} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=1000"
            for name, port in zip(self.names, ports[1:], strict=True)
        ]
        for name in self.names:
            (directory / f"spool.{name}").mkdir(exist_ok=True)
        text = CONFIG.format(
            host=platform.node().partition(".")[0],
            controller_port=ports[0],
            directory=directory,
            tracking=tracking,
            requeue=int(requeue),
            kill_wait=kill_wait,
            nodes="\n".join(lines),
        )
        (directory / "slurm.conf").write_text(text)
        cgroups = "CgroupMountpoint=/sys/fs/cgroup\nCgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"
        (directory / "cgroup.conf").write_text(cgroups)

    def __enter__(self) -> "SlurmCluster":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *args: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all daemons and wait until the nodes are idle."""
        key = self.directory / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        munge_files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munged.pid"}
        munge_files |= {"log-file": "munged.log", "seed-file": "munge.seed"}
        options = [f"--{option}={self.directory / name}" for option, name in munge_files.items()]
        self._start("munged", "munged", "--foreground", "--force", *options)
        self.wait_until(lambda: (self.directory / "munge.sock").exists())
        self.start_controller()
        for name in self.names:
            self.start_node(name)
        self.wait_until(lambda: self.run("sinfo", "-h", "-N", "-p", "main", "-t", "idle").count("node") == self.count)

    @property
    def count(self) -> int:
        """Return the number of nodes."""
        return len(self.names)

    def start_controller(self) -> None:
        """Start the controller."""
        self._start("slurmctld", "slurmctld", "-D", "-i")

    def stop_controller(self) -> None:
        """Stop the controller; it saves its state."""
        process = self._processes.pop("slurmctld")
        process.terminate()
        process.wait(30)

    def start_node(self, name: str) -> None:
        """Start a node."""
        programs = {name: shutil.which(name, path=SEARCH_PATH) for name in ("slurmd", "slurmstepd")}
        script = NODE_COMMAND.format(name=name, names=" ".join(self.names), directory=self.directory, **programs)
        namespaces = ["--uts", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
        self._start(name, "unshare", *namespaces, "bash", "-c", script)

    def kill_node(self, name: str) -> None:
        """Kill all processes of a node at once, as a power cut does."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    @contextmanager
    def hidden_directory(self, name: str, directory: Path) -> Iterator[None]:
        """Hide a directory from a node, as if its file system was not mounted."""
        namespace = ["nsenter", f"--target={self._processes[name].pid}", "--mount"]
        subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", str(directory)], check=True)
        try:
            yield
        finally:
            self.kill_node(name)
            self.start_node(name)

    def stop(self) -> None:
        """Stop all daemons and all jobs."""
        for name in [*self._processes]:
            self.kill_node(name)

    def run(self, *command: str) -> str:
        """Run a command of Slurm; return its output."""
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        return result.stdout + result.stderr

    def wait_until(self, condition, seconds: float = START_SECONDS) -> None:
        """Wait until a condition is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("".join(file.read_text()[-2000:] for file in self.directory.glob("*.log")))
            time.sleep(0.2)

    def _start(self, key: str, *command: str) -> None:
        program = shutil.which(command[0], path=SEARCH_PATH)
        with (self.directory / f"{key}.out").open("ab") as output:
            self._processes[key] = subprocess.Popen(
                [program, *command[1:]],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def find_free_ports(count: int) -> list[int]:
    """Return numbers of TCP ports that no process uses."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def main() -> None:
    """Run a cluster until Ctrl-C."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--tracking", default="linuxproc")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, SlurmCluster(Path(directory), **vars(options)) as cluster:
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
