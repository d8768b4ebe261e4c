"""State of a process that belongs to the run in progress, and is exchanged when another run continues."""

import logging
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from torch import Tensor
from torch.utils import deterministic

from trainer.core.signals import shutdown


@dataclass
class ProcessState:
    """Random number generators, output, log handlers and settings of the run that this process executes at a moment.

    Runs of a group take turns in one process. Each finds the state as it has left it.
    """

    output: Any = field(default_factory=lambda: (sys.stdout, sys.stderr))
    handlers: list[logging.Handler] = field(default_factory=lambda: [*logging.getLogger().handlers])
    log_level: int = field(default_factory=lambda: logging.getLogger().level)
    hydra: Any = field(default_factory=lambda: HydraConfig.instance().cfg)
    python_random: Any = field(default_factory=random.getstate)
    numpy_random: Any = field(default_factory=np.random.get_state)
    torch_random: Tensor = field(default_factory=torch.get_rng_state)
    is_deterministic: bool = field(default_factory=torch.are_deterministic_algorithms_enabled)
    warns_only: bool = field(default_factory=torch.is_deterministic_algorithms_warn_only_enabled)
    fills_memory: bool = field(default_factory=lambda: deterministic.fill_uninitialized_memory)  # type: ignore[attr-defined]
    on_signal: Callable[[], None] | None = field(default_factory=lambda: shutdown.on_signal)

    def restore(self) -> None:
        """Make this the state of the process; let the run save if a signal has arrived in the meantime."""
        sys.stdout, sys.stderr = self.output
        root = logging.getLogger()
        root.handlers[:] = self.handlers
        if root.level != self.log_level:  # `setLevel` visits all loggers
            root.setLevel(self.log_level)
        HydraConfig.instance().cfg = self.hydra
        random.setstate(self.python_random)
        np.random.set_state(self.numpy_random)
        torch.set_rng_state(self.torch_random)
        torch.use_deterministic_algorithms(self.is_deterministic, warn_only=self.warns_only)
        deterministic.fill_uninitialized_memory = self.fills_memory  # type: ignore[attr-defined]
        shutdown.on_signal = None
        if self.on_signal:
            shutdown.save_by(self.on_signal)
