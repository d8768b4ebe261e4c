"""Kill the command, nodes and jobs of a sweep on Ray at random moments, and compare it with a sequential one.

python tests/sweeps/kill_ray.py [--jobs 24] [--kills 20] [--seed 1] [--nodes 2] [--directory DIR]

The command is killed with SIGKILL and repeated, the processes of a node are killed and a new node is added, and the
worker of Ray that runs a job, or the process of the job, is killed. The conditions are those of kill_cluster.py.
"""

import os
import random
import runpy
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

COMMON = runpy.run_path(str(Path(__file__).with_name("kill_cluster.py")))


class RayCluster:
    """A Ray cluster on this machine, whose head runs no jobs.

    Args:
        nodes: Number of further nodes, with one core each.
    """

    def __init__(self, nodes: int) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(nodes)]
        self.cluster.wait_for_nodes()

    @property
    def address(self) -> str:
        """Return the address of the head."""
        return self.cluster.address

    def kill_node(self, rng: random.Random) -> None:
        """Kill all processes of a node."""
        self.cluster.remove_node(self.nodes.pop(rng.randrange(len(self.nodes))), allow_graceful=False)

    def add_node(self) -> None:
        """Add a node."""
        self.nodes.append(self.cluster.add_node(num_cpus=1))

    def stop(self) -> None:
        """Stop all nodes."""
        self.cluster.shutdown()


class RaySweep(COMMON["KilledSweep"]):
    """A sweep on a Ray cluster.

    Args:
        cluster: Cluster.
        directory: Working directory.
        jobs: Number of jobs.
    """

    def __init__(self, cluster: RayCluster, directory: Path, jobs: int) -> None:
        self.cluster = cluster
        launcher = ["hydra/launcher=ray", f"hydra.launcher.address={cluster.address}"]
        super().__init__(directory, jobs, launcher, dict(os.environ))

    def kill_node(self, rng: random.Random) -> bool:
        """Kill all processes of a node; a new one is added some seconds later."""
        self.cluster.kill_node(rng)
        time.sleep(rng.uniform(0, 15))
        self.cluster.add_node()
        return True

    def kill_ray_worker(self, rng: random.Random) -> bool:
        """Kill the worker of Ray that runs a job."""
        worker = self.choose_worker(rng)
        if worker:
            os.kill(worker, signal.SIGKILL)
        return bool(worker)

    def kill_job(self, rng: random.Random) -> bool:
        """Kill the process of a job, which is a child of a forkserver of the worker."""
        worker = self.choose_worker(rng)
        return bool(worker) and COMMON["kill_process"](
            lambda entry: (
                read_parent(read_parent(int(entry.name))) == worker and os.getpgid(int(entry.name)) == int(entry.name)
            )
        )

    def choose_worker(self, rng: random.Random) -> int:
        """Return the process id of the worker of a running job; 0 if there is none."""
        jobs = COMMON["KILL"]["read_jobs"](self.directory / "killed")
        workers = [job.pid for job in jobs if job.state == "running" and job.pid and is_ray_worker(job.pid)]
        return rng.choice(workers) if workers else 0

    def disturbances(self) -> dict[str, Callable[[random.Random], bool]]:
        return {
            **super().disturbances(),
            "node": self.kill_node,
            "worker": self.kill_ray_worker,
            "process": self.kill_job,
        }


def read_parent(pid: int) -> int:
    """Return the parent of a process; 0 if there is none."""
    if not pid:
        return 0
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_ray_worker(pid: int) -> bool:
    """Return whether a process is a worker of Ray, whose title starts with `ray::`, and not the command."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::")
    except OSError:
        return False


def main() -> None:
    """Run the comparison and print the result; the exit status is 1 if a condition is violated."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options = COMMON["create_parser"]().parse_args()

    @contextmanager
    def start_cluster(directory: Path) -> Iterator[RaySweep]:
        cluster = RayCluster(options.nodes)
        try:
            yield RaySweep(cluster, directory, options.jobs)
        finally:
            cluster.stop()

    COMMON["compare_with_sequential_sweep"](options, start_cluster)


if __name__ == "__main__":
    main()
