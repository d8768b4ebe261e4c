"""Stopwatch callback of trainings and tests, used by both ours and the template."""

import time

from pytorch_lightning import Callback
from timings import plot_seconds, timings


class Stopwatch(Callback):
    """Measures a training from start to end: steps, logging, validation, checkpoints.

    A test ends with its last batch. The final metrics and plots are measured separately, as their duration does not
    depend on the number of examples.
    """

    def on_train_start(self, trainer, pl_module):
        self.start = time.perf_counter()

    def on_train_end(self, trainer, pl_module):
        timings.append((trainer.global_step, time.perf_counter() - self.start))

    def on_test_start(self, trainer, pl_module):
        self.start = time.perf_counter()
        self.examples = 0

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        self.examples += len(batch[1])
        self.last_batch = time.perf_counter()

    def on_test_end(self, trainer, pl_module):
        timings.append((self.examples, self.last_batch - self.start))
        plot_seconds.append(time.perf_counter() - self.last_batch)
