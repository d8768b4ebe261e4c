"""Kill the command, nodes and jobs of a sweep on a real Slurm at random moments, and compare it with a sequential one.

python tests/sweeps/kill_slurm.py [--jobs 24] [--kills 20] [--seed 1] [--nodes 2] [--tracking linuxproc]
    [--directory DIR]

The command is killed with SIGKILL and repeated, a node loses its power and returns, a job is requeued, cancelled, or
its process is killed. The conditions are those of kill_cluster.py.
"""

import random
import runpy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

COMMON = runpy.run_path(str(Path(__file__).with_name("kill_cluster.py")))
SLURM = runpy.run_path(str(Path(__file__).with_name("slurm_cluster.py")))
LAUNCHER = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=main"]


class SlurmSweep(COMMON["KilledSweep"]):
    """A sweep on a Slurm cluster.

    Args:
        cluster: Cluster.
        directory: Working directory.
        jobs: Number of jobs.
    """

    def __init__(self, cluster, directory: Path, jobs: int) -> None:
        self.cluster = cluster
        super().__init__(directory, jobs, LAUNCHER, cluster.environment)

    def kill_node(self, rng: random.Random) -> bool:
        """Kill all processes of a node, which returns some seconds later."""
        name = rng.choice(self.cluster.names)
        self.cluster.kill_node(name)
        time.sleep(rng.uniform(0, 15))
        self.cluster.start_node(name)
        return True

    def disturb_job(self, rng: random.Random, *command: str) -> bool:
        """Run a command with the id of a running job."""
        slurm_id = self.choose_job(rng)
        if slurm_id:
            self.cluster.run(*command, slurm_id)
        return bool(slurm_id)

    def kill_worker(self, rng: random.Random) -> bool:
        """Kill the training process of a job."""
        variable = f"\0SLURM_JOB_ID={self.choose_job(rng)}\0".encode()
        return COMMON["kill_process"](
            lambda entry: (
                b"spawn_main" in (entry / "cmdline").read_bytes() and variable in (entry / "environ").read_bytes()
            )
        )

    def choose_job(self, rng: random.Random) -> str:
        """Return the id of a running job; empty if there is none."""
        running = self.cluster.run("squeue", "--noheader", "--states=running", "--format=%i").split()
        return rng.choice(running) if running else ""

    def disturbances(self) -> dict[str, Callable[[random.Random], bool]]:
        return {
            **super().disturbances(),
            "node": self.kill_node,
            "requeue": lambda rng: self.disturb_job(rng, "scontrol", "requeue"),
            "cancel": lambda rng: self.disturb_job(rng, "scancel"),
            "process": self.kill_worker,
        }


def main() -> None:
    """Run the comparison and print the result; the exit status is 1 if a condition is violated."""
    parser = COMMON["create_parser"]()
    parser.add_argument("--tracking", default="linuxproc")
    options = parser.parse_args()

    @contextmanager
    def start_cluster(directory: Path) -> Iterator[SlurmSweep]:
        cluster = SLURM["SlurmCluster"](directory / "slurm", nodes=options.nodes, tracking=options.tracking)
        with cluster:
            yield SlurmSweep(cluster, directory, options.jobs)

    COMMON["compare_with_sequential_sweep"](options, start_cluster)


if __name__ == "__main__":
    main()
