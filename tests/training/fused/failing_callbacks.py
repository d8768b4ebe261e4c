"""Callbacks and a network of a user for runs that fail or cannot be trained together with others."""

import torch
from pytorch_lightning import Callback


class Fails(Callback):
    """Raises an error in a hook of the second epoch, or at the start of the training."""

    def __init__(self, hook):
        self.hook = hook

    def on_fit_start(self, trainer, pl_module):
        self._fail("on_fit_start")

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            self._fail("on_train_epoch_end")

    def on_validation_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            self._fail("on_validation_epoch_end")

    def on_test_start(self, trainer, pl_module):
        self._fail("on_test_start")

    def _fail(self, hook):
        if hook == self.hook:
            raise RuntimeError(f"requested failure in {hook}")


class Counting(torch.nn.Module):
    """Network of a user, whose hook counts the passes and changes the outputs."""

    def __init__(self, spec):
        super().__init__()
        self.layer = torch.nn.Linear(spec.shape[0], spec.output_size)
        self.passes = 0
        self.layer.register_forward_hook(self._count)

    def forward(self, inputs):
        return self.layer(inputs)

    def _count(self, module, inputs, outputs):
        self.passes += self.training
        return outputs + 0.001 * self.passes
