"""Rendezvous of the processes of one run: the first one composes the config and hands its job to the others.

They meet in a store of `torch.distributed`: the one that torchrun provides, else one that the first process provides at
MASTER_ADDR and MASTER_PORT, where Lightning's processes meet as well. So no two of them can have different ideas of the
config or of the run directory.
"""
# PyTorch's stores are not declared as they are
# mypy: disable-error-code="attr-defined,arg-type"

import logging
import os
import pickle
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.lsf import LSFEnvironment
from lightning_fabric.plugins.environments.mpi import MPIEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed import DistError, PrefixStore, TCPStore

from trainer.core.errors import UserError
from trainer.core.rank import is_first_process, is_slurm_step

ARRIVAL_SECONDS = 600.0  # nodes may start one after another
ARRIVAL_SECONDS_WITHOUT_SRUN = 30.0
DISMISSAL_SECONDS = 60.0
JOB_SECONDS = 1800.0  # a script may do much before it trains
SILENT_SECONDS = 10.0  # before the log says that a process waits
POLL_SECONDS = 0.02

log = logging.getLogger(__name__)


def cluster_environment() -> ClusterEnvironment:
    """Return the environment that Lightning chooses for this process, by Lightning's own order.

    Raises:
        UserError: Lightning refuses the variables of Slurm.
    """
    for kind in (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment):
        try:
            if kind.detect():
                return kind()
        except RuntimeError as error:
            raise UserError(f"trainer: {error}") from error
    return LightningEnvironment()


class Rendezvous:
    """The store through which the first process hands jobs to the others.

    Args:
        address: Host name of the first process, or of torchrun's store.
        port: Its port; 0 for any free one.
        hosts: Whether this process provides the store.
    """

    def __init__(self, address: str, port: int, *, hosts: bool) -> None:
        self.address = address
        try:
            self.store = TCPStore(
                address,
                port,
                is_master=hosts,
                wait_for_workers=False,
                multi_tenant=True,
                timeout=timedelta(seconds=JOB_SECONDS),
            )
        except DistError as error:
            where = f"{address}:{port}"
            raise UserError(f"no rendezvous with the other processes of the run at {where}: {error}") from error
        self.port: int = self.store.port
        self._messages = PrefixStore(f"trainer/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", self.store)
        self.count = 0  # of messages

    def share(self, message: Any, others: int, seconds: float = ARRIVAL_SECONDS) -> None:
        """Hand a message to the other processes, and wait until they have taken it.

        Args:
            message: Anything that can be pickled.
            others: Number of other processes.
            seconds: How long to wait at most.

        Raises:
            UserError: They did not all come.
        """
        self._messages.set(str(self.count), pickle.dumps(message))
        taken = f"{self.count}/taken"
        self.count += 1
        seconds = min(seconds, ARRIVAL_SECONDS_WITHOUT_SRUN) if _may_lack_srun() else seconds
        if not self._until(lambda: self._messages.add(taken, 0) >= others, seconds, "the other processes of the run"):
            there = 1 + self._messages.add(taken, 0)
            hint = "started without srun? expected: srun trainer ..." if _may_lack_srun() else "start all of them"
            raise UserError(f"trainer.devices: {there} of {others + 1} processes came within {seconds:.0f} s; {hint}")

    def receive(self) -> Any:
        """Return the next message of the first process.

        Raises:
            UserError: The first process has ended, or sends none.
        """
        key, first = str(self.count), f"the first process of the run at {self.address}:{self.port}"
        self.count += 1
        try:
            if not self._until(lambda: self._messages.check([key]), JOB_SECONDS, first):
                raise UserError(f"{first} has sent no job within {JOB_SECONDS:.0f} s")
            message = pickle.loads(self._messages.get(key))
            self._messages.add(f"{key}/taken", 1)
        except DistError as error:
            raise UserError(f"{first} has ended") from error
        return message

    def _until(self, is_true: Callable[[], bool], seconds: float, awaited: str) -> bool:
        """Wait until something is true; return whether it is."""
        start = time.monotonic()
        silent = True
        while not is_true():
            passed = time.monotonic() - start
            if passed > seconds:
                return False
            if silent and passed > SILENT_SECONDS:
                silent = False
                log.info(f"waiting for {awaited}")
            time.sleep(POLL_SECONDS)
        return True


@cache
def rendezvous() -> Rendezvous:
    """Return the rendezvous of the processes that something else has started, this one among them.

    Raises:
        UserError: Nothing says where they meet.
    """
    environment = cluster_environment()
    if isinstance(environment, LightningEnvironment) and not {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        raise UserError(
            "MASTER_ADDR, MASTER_PORT: not set; expected both in each process of a run that is started by hand\n"
            "  for processes on this machine unset LOCAL_RANK and NODE_RANK: trainer starts them by itself"
        )
    served = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    hosts = is_first_process() and not served
    return Rendezvous(environment.main_address, environment.main_port, hosts=hosts)


def _may_lack_srun() -> bool:
    return "SLURM_PROCID" in os.environ and "LOCAL_RANK" not in os.environ and not is_slurm_step()
