"""Several processes in one run (`trainer=ddp`): what Lightning needs to start them from a Hydra job."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch.distributed
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write


@contextmanager
def processes_of_this_run(directory: Path) -> Iterator[None]:
    """Let Lightning start further processes for this job, and leave no trace of them for the next job.

    Lightning starts them with this process's own command line. In a sweep that line describes all jobs, so it
    is replaced by this job's; and what Lightning leaves in the environment would make the next job wait for
    processes that nobody starts.

    Args:
        directory: The run directory; the further processes log there too.
    """
    hydra = HydraConfig.get()
    environment, arguments = dict(os.environ), sys.argv
    if hydra.mode == RunMode.MULTIRUN:
        sys.argv = [arguments[0], *hydra.overrides.task]
        node = HydraConfig.instance().cfg
        assert isinstance(node, DictConfig)
        with read_write(node.hydra):
            OmegaConf.update(node, "hydra.run.dir", str(directory))
    try:
        yield
    finally:
        sys.argv = arguments
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(environment)
