"""Rendezvous of the processes of one run, through which the first process sends its job to the others.

Messages are sent through a store of `torch.distributed`: torchrun's, else one that the first process creates at
MASTER_ADDR and MASTER_PORT, as Lightning does. So all processes have the same config and run directory.

Stores have no authentication. If all processes are on one machine, everything listens on the loopback interface only,
else the store listens on the address of MASTER_ADDR.
"""
# PyTorch's type hints of stores are incomplete
# mypy: disable-error-code="attr-defined,arg-type"

import atexit
import logging
import os
import pickle
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.lsf import LSFEnvironment
from lightning_fabric.plugins.environments.mpi import MPIEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed import DistError, PrefixStore, TCPStore, destroy_process_group, is_initialized

from trainer.core.errors import UserError
from trainer.core.rank import is_first_process, is_on_one_node, is_slurm_step
from trainer.core.signals import shutdown

CONNECT_SECONDS = 600.0  # nodes may start one after another
CONNECT_SECONDS_WITHOUT_SRUN = 30.0
DISMISSAL_SECONDS = 60.0
JOB_SECONDS = 1800.0  # a script may take long before it trains
LOG_DELAY_SECONDS = 10.0  # waiting time before the first log message
POLL_SECONDS = 0.02
LOOPBACK_ADDRESS = "127.0.0.1"
LOOPBACK_INTERFACES = ("lo", "lo0")  # of Linux and macOS
INTERFACE_VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")

log = logging.getLogger(__name__)


def cluster_environment() -> ClusterEnvironment:
    """Return the environment that Lightning selects for this process.

    Raises:
        UserError: Lightning rejects the variables of Slurm.
    """
    for kind in (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment):
        try:
            if kind.detect():
                return kind()
        except RuntimeError as error:
            raise UserError(f"trainer: {error}") from error
    return LightningEnvironment()


def loopback_variables() -> dict[str, str]:
    """Return the environment variables of a run on one machine, except those that the user has set."""
    names = [name for _, name in socket.if_nameindex() if name in LOOPBACK_INTERFACES]
    return {variable: name for name in names[:1] for variable in INTERFACE_VARIABLES if variable not in os.environ}


class Rendezvous:
    """Store through which the first process sends jobs to the others.

    torchrun may restart the processes with the same store, and numbers the restarts differently on each node. So a
    process requests each message under a new token, and the store may contain messages to processes that have ended.

    Args:
        address: Host name of the first process, or of torchrun's store.
        port: Port of the store; 0 for any free port.
        is_host: Whether this process creates the store.
    """

    def __init__(self, address: str, port: int, *, is_host: bool) -> None:
        self.address = address
        listener = _listen(address, port) if is_host else None
        try:
            self.store = TCPStore(
                address,
                listener.getsockname()[1] if listener else port,
                is_master=is_host,
                master_listen_fd=listener.detach() if listener else None,
                wait_for_workers=False,
                multi_tenant=True,
                timeout=timedelta(seconds=JOB_SECONDS),
            )
        except DistError as error:
            location = f"{address}:{port}"
            raise UserError(f"no rendezvous with the other processes of the run at {location}: {error}") from error
        self.port: int = self.store.port
        self._messages = PrefixStore("trainer", self.store)
        self.count = 0  # messages sent or received
        self._n_seen = 0  # requests that the first process has read
        self._requests: list[tuple[int, str]] = []  # those not yet answered: index of the message, token

    def share(self, message: Any, others: int, seconds: float = CONNECT_SECONDS) -> None:
        """Send a message to the other processes, and wait until they have received it.

        Args:
            message: Any object that can be pickled.
            others: Number of other processes.
            seconds: Maximum time to wait.

        Raises:
            UserError: A process has not received it in time.
        """
        receipts = f"{secrets.token_hex(8)}/receipts"
        content = pickle.dumps((receipts, message))
        index = self.count
        self.count += 1
        seconds = min(seconds, CONNECT_SECONDS_WITHOUT_SRUN) if _is_srun_missing() else seconds

        def are_all_answered() -> bool:
            self._answer(index, content)
            return bool(self._messages.add(receipts, 0) >= others)

        if not self._wait_until(are_all_answered, seconds, "the other processes of the run"):
            count = 1 + self._messages.add(receipts, 0)
            hint = "started without srun? expected: srun trainer ..." if _is_srun_missing() else "start all of them"
            problem = f"{count} of {others + 1} processes connected within {seconds:.0f} s"
            raise UserError(f"trainer.devices: {problem}; {hint}")

    def _answer(self, index: int, content: bytes) -> None:
        """Send a message to all processes that have requested it, also to those of an earlier start of the run."""
        while self._messages.check([f"request/{self._n_seen + 1}"]):
            self._n_seen += 1
            self._requests.append(pickle.loads(self._messages.get(f"request/{self._n_seen}")))
        for request in [request for request in self._requests if request[0] == index]:
            self._requests.remove(request)
            self._messages.set(request[1], content)

    def receive(self) -> Any:
        """Return the next message of the first process.

        Raises:
            UserError: The first process has exited, or sends no message.
        """
        token = secrets.token_hex(8)
        sender = f"the first process of the run at {self.address}:{self.port}"
        request = pickle.dumps((self.count, token))
        self.count += 1
        try:
            self._messages.set(f"request/{self._messages.add('requests', 1)}", request)
            if not self._wait_until(lambda: self._messages.check([token]), JOB_SECONDS, sender):
                raise UserError(f"{sender} has sent no job within {JOB_SECONDS:.0f} s")
            receipts, message = pickle.loads(self._messages.get(token))
            self._messages.add(receipts, 1)
        except DistError as error:
            raise UserError(f"{sender} has exited") from error
        return message

    def _wait_until(self, condition: Callable[[], bool], seconds: float, awaited: str) -> bool:
        """Wait until a condition is true; return False after a timeout."""
        start = time.monotonic()
        is_logged = False
        while not condition():
            shutdown.raise_if_due()
            waited = time.monotonic() - start
            if waited > seconds:
                return False
            if not is_logged and waited > LOG_DELAY_SECONDS:
                is_logged = True
                log.info(f"waiting for {awaited}")
            time.sleep(POLL_SECONDS)
        return True


@cache
def rendezvous() -> Rendezvous:
    """Return the rendezvous of processes that `trainer` has not started, such as those of torchrun or Slurm.

    Raises:
        UserError: The address is not set.
    """
    environment = cluster_environment()
    if isinstance(environment, LightningEnvironment) and not {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        raise UserError(
            "MASTER_ADDR, MASTER_PORT: not set; expected both in each process of a run that is started manually\n"
            "  for processes on this machine unset LOCAL_RANK and NODE_RANK: trainer starts them itself"
        )
    if is_on_one_node():
        os.environ.update(loopback_variables())
        os.environ.setdefault("MASTER_ADDR", LOOPBACK_ADDRESS)
    has_store = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    is_host = is_first_process() and not has_store
    atexit.register(_destroy_process_group)
    return Rendezvous(environment.main_address, environment.main_port, is_host=is_host)


def _listen(address: str, port: int) -> socket.socket | None:
    """Return a listening socket of an address; None to listen on all, if the address is not one of this machine.

    Also if a name means this machine only here, which is common: the other nodes would connect to another address.
    """
    with suppress(OSError):
        for family, _, _, _, location in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM):
            if address == LOOPBACK_ADDRESS or not ip_address(location[0]).is_loopback:
                return socket.create_server(location[:2], family=family)
    return None


def _destroy_process_group() -> None:
    """Stop the threads of gloo, which would abort the process at its exit; Lightning does this for NCCL only."""
    if is_initialized():
        destroy_process_group()


def _is_srun_missing() -> bool:
    return "SLURM_PROCID" in os.environ and "LOCAL_RANK" not in os.environ and not is_slurm_step()
