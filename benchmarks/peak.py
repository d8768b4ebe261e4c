"""The plain loop in a process that imports no framework of ours, to see how much memory it takes."""

import tempfile
from pathlib import Path


def save(work: str, folder: str, file: str) -> None:
    """Write the work into a file; this needs the framework."""
    import torch
    from jobs import job_of
    from processes import SHORT
    from works import words_of

    torch.save(job_of((*words_of(work, Path(folder), quick=False), *SHORT)), file)


def train(file: str, folder: str) -> None:
    """Read the work from the file and train."""
    import plain
    import torch

    plain.train(torch.load(file, weights_only=False), Path(tempfile.mkdtemp(dir=folder)))
