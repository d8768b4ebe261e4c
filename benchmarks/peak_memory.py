"""Plain loop in a process that does not import our framework, to measure its peak memory."""

import tempfile
from pathlib import Path


def save(workload: str, directory: str, file: str) -> None:
    """Write the job of a workload to a file; this imports the framework."""
    import torch
    from jobs import build_job
    from processes import SHORT
    from workloads import build_overrides

    torch.save(build_job((*build_overrides(workload, Path(directory), quick=False), *SHORT)), file)


def train(file: str, directory: str) -> None:
    """Read a job from a file and train."""
    import plain
    import torch

    plain.train(torch.load(file, weights_only=False), Path(tempfile.mkdtemp(dir=directory)))
