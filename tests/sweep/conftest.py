"""Fixtures of sweep tests, and callbacks for their jobs."""

from pathlib import Path

import pytest

from trainer.sweep.store.job_store import Job, Ledger

PIECES = '''
import os, signal, time
from pathlib import Path
import torch
from pytorch_lightning import Callback

class Wait(Callback):
    """Sleeps, then fails in the requested way until the file `healed_by` exists."""
    def __init__(self, seconds=0.0, fails="", healed_by="healed"):
        print("a callback is built")
        self.seconds, self.fails, self.healed_by = seconds, fails, healed_by
    def on_fit_start(self, trainer, pl_module):
        print(f"{torch.get_num_threads()} threads")
        time.sleep(self.seconds)
        if self.fails and not Path(self.healed_by).exists():
            if self.fails in ("polite", "stubborn"):
                if self.fails == "stubborn":
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                seed = Path(trainer.default_root_dir).name
                Path(f"waiting-{int(seed) + 1}").touch()
                time.sleep(100)
            if self.fails in ("segfault", "killed"):
                os.kill(os.getpid(), signal.SIGSEGV if self.fails == "segfault" else signal.SIGKILL)
            raise RuntimeError(f"requested failure: {self.fails}")

class Slow(Callback):
    """Slows the epochs down, and writes a dot for each to the file PROGRESS-NUMBER."""
    def __init__(self, progress=""):
        self.progress_file = progress
    def on_train_epoch_end(self, trainer, pl_module):
        if self.progress_file:
            with open(f"{self.progress_file}-{Path(trainer.default_root_dir).name}", "a") as file:
                file.write(".")
        time.sleep(0.3)
'''
# two steps of XOR without checkpoints and logs
TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """Write `pieces.py` with the callbacks; return the directory."""
    (tmp_path / "pieces.py").write_text(PIECES)
    return tmp_path


@pytest.fixture
def jobs(tmp_path: Path):
    """Return a function that reads the jobs of the sweep `s`."""

    def read() -> list[Job]:
        return Ledger(tmp_path / "s").jobs()

    return read
