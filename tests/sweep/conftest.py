"""A module that sweeps in tests can name, and what they are made of."""

from pathlib import Path

import pytest

from trainer.sweep.store.job_store import Job, Ledger

PIECES = '''
import os, signal, time
from pathlib import Path
import torch
from pytorch_lightning import Callback

class Wait(Callback):
    """Sleeps, and fails as it is told, once or always; `gone` is a file that heals it."""
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
            raise RuntimeError(f"told to fail: {self.fails}")

class Slow(Callback):
    """Gives one time to do something to it."""
    def on_train_epoch_end(self, trainer, pl_module):
        time.sleep(0.3)
'''
# two steps of XOR, and nothing kept beside the result
TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """The directory of the test, with `pieces.Wait` in it."""
    (tmp_path / "pieces.py").write_text(PIECES)
    return tmp_path


@pytest.fixture
def jobs(tmp_path: Path):
    """The jobs in the ledger of the sweep `s`."""

    def read() -> list[Job]:
        return Ledger(tmp_path / "s").jobs()

    return read
