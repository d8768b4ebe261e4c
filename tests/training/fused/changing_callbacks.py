"""Callbacks of a user that change the training of a run between two epochs, and count no steps."""

import torch
from pytorch_lightning import Callback

import trainer.core.callback


class ChangesSettings(Callback):
    """Changes a setting at the end of the first epoch of the runs with an odd seed."""

    def __init__(self, seed, change):
        self.is_active = seed % 2 == 1
        self.change = change

    def on_train_epoch_end(self, trainer, pl_module):
        if self.is_active and trainer.current_epoch == 0:
            getattr(self, self.change)(trainer.optimizers[0], pl_module)

    def weight_decay(self, optimizer, task):
        optimizer.param_groups[0]["weight_decay"] = 0.5

    def rate(self, optimizer, task):
        optimizer.param_groups[0]["lr"] = 0.05

    def dropout(self, optimizer, task):
        for module in task.net.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.9

    def smoothing(self, optimizer, task):
        task.objective.label_smoothing = 0.5

    def weights(self, optimizer, task):
        for weight in task.net.parameters():
            weight.data = 0.5 * weight.data

    def weights_in_place(self, optimizer, task):
        with torch.no_grad():
            for weight in task.net.parameters():
                weight.mul_(0.5)

    def optimizer_state(self, optimizer, task):
        state = optimizer.state_dict()
        for values in state["state"].values():
            values["exp_avg"] = torch.zeros_like(values["exp_avg"])
        optimizer.load_state_dict(state)

    def hooks(self, optimizer, task):
        task.net.register_forward_hook(lambda net, inputs, outputs: 2 * outputs)

    def frozen(self, optimizer, task):
        next(task.net.parameters()).requires_grad_(False)


class HalvesWeightsInValidation(Callback):
    """Validates with other weights than those of the training, as an average of weights does."""

    def on_validation_start(self, trainer, pl_module):
        self._scale(pl_module, 0.5)

    def on_validation_end(self, trainer, pl_module):
        self._scale(pl_module, 2)

    def _scale(self, task, factor):
        for weight in task.net.parameters():
            weight.data.mul_(factor)


class LogsSteps(trainer.core.callback.Callback):
    """Logs a value in a hook of the steps that are logged; the fast loop may skip the others."""

    skips_steps = True

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:
            pl_module.log("twice_the_step", 2.0 * trainer.global_step)
