"""Base class of callbacks, with the declarations that other parts of a run read."""

from typing import Any, ClassVar

import pytorch_lightning
from torch import nn


class Callback(pytorch_lightning.Callback):
    """Base class of the project's callbacks: Lightning's hooks, and declarations with defaults.

    Plain Lightning callbacks can be used as well; they count as callbacks with the default declarations.

    Attributes:
        affects_training: Whether the callback can change the metrics of a run. If not, its settings are no part of a
            run's fingerprint and may change when the run is resumed. Read from the source without an import.
        skips_steps: Whether `on_train_batch_start`, `on_train_batch_end` and other hooks of a step may be skipped for
            steps that are not logged. If not, the fast loop calls the hooks at every step.
    """

    affects_training: ClassVar[bool] = True
    skips_steps: ClassVar[bool] = False

    def logged_metrics(self, data: Any) -> list[str]:
        """Return the names of all metrics that the callback logs for a data module; others may monitor them."""
        return []

    def check(self, net: nn.Module) -> None:
        """Check before the run that a network fits the settings of the callback.

        Raises:
            UserError: The network lacks something, such as a layer that the config names.
        """
