"""Learning-rate schedules of a run that are advanced after each step."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from typing import Any

from pytorch_lightning import Trainer


class StepSchedules:
    """Schedules of a run with one optimizer and one parameter group.

    Args:
        trainer: Trainer of the run.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.schedulers = [config.scheduler for config in trainer.lr_scheduler_configs if config.interval == "step"]
        self.group: dict[str, Any] = trainer.optimizers[0].param_groups[0]
        self.progress = trainer.fit_loop.epoch_loop.scheduler_progress

    def advance(self, count: int) -> tuple[float, ...]:
        """Advance by a number of steps; return the learning rate of each of them."""
        if not self.schedulers:
            return (self.group["lr"],) * count
        rates = []
        for _ in range(count):
            rates.append(self.group["lr"])
            for scheduler in self.schedulers:
                scheduler.step()
        self.progress.increment_by(count * len(self.schedulers))
        return tuple(rates)

    def state(self) -> Any:
        """Return the state for `restore`."""
        return [{**scheduler.state_dict()} for scheduler in self.schedulers], self.group["lr"]

    def restore(self, state: Any, count: int) -> None:
        """Undo the last `advance` with a `count`."""
        for scheduler, values in zip(self.schedulers, state[0], strict=True):
            scheduler.load_state_dict(values)
        self.group["lr"] = state[1]
        self.progress.increment_by(-count * len(self.schedulers))
