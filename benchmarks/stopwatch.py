"""A callback that notes when training and tests began and ended; ours and the template's way carry the same one."""

import time

from laps import drawn, laps
from pytorch_lightning import Callback


class Stopwatch(Callback):
    """Everything between start and end of a training counts: steps, logging, validation, checkpoints.

    A test ends with its last batch; what is summed up and drawn then takes as long for any test, and is noted apart.
    """

    def on_train_start(self, trainer, pl_module):
        self.began = time.perf_counter()

    def on_train_end(self, trainer, pl_module):
        laps.append((trainer.global_step, time.perf_counter() - self.began))

    def on_test_start(self, trainer, pl_module):
        self.began, self.examples = time.perf_counter(), 0

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        self.examples += len(batch[1])
        self.tested = time.perf_counter()

    def on_test_end(self, trainer, pl_module):
        laps.append((self.examples, self.tested - self.began))
        drawn.append(time.perf_counter() - self.tested)
