"""Mean and standard deviation of the training targets, which make the losses of values independent of their units."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

CONSTANT = 1e-12  # standard deviation, relative to the mean, below which all targets are equal but for rounding


class TargetScale:
    """Mean and standard deviation of each output's training targets, in float64.

    Attached to a network, it turns the standardized values that the network computes into outputs in the units of the
    targets. A loss then compares outputs and targets in standardized units; everything else sees the original ones.

    Args:
        mean: (outputs,).
        std: (outputs,), greater than 0.
    """

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean = mean.double()
        self.std = std.double()
        self._copies: dict[torch.device, tuple[Tensor, Tensor]] = {}

    @classmethod
    def of(cls, targets: Tensor) -> "TargetScale":
        """Return the scale of training targets (examples, outputs); a constant target has the standard deviation 1."""
        values = targets.double()
        largest = values.abs().amax(0).clamp(min=1e-300)  # squares of numbers beyond 1e154 would overflow
        mean = (values / largest).mean(0)
        std = (values / largest).std(0, correction=0)
        varies = std > CONSTANT * mean.abs()
        return cls(mean * largest, torch.where(varies, std * largest, 1.0))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "TargetScale":
        """Return the scale that `state` has described."""
        return cls(*(torch.tensor(state[name], dtype=torch.float64) for name in ("mean", "std")))

    def state(self) -> dict[str, Any]:
        """Return plain containers for a checkpoint."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:.6g}" for value in part.tolist()) for part in (self.mean, self.std))
        return f"mean {mean}, standard deviation {std}"

    @property
    def tensors(self) -> list[Tensor]:
        """Mean and standard deviation on the CPU, as operations of a training step read them there."""
        return [self.mean, self.std]

    def survives(self, dtype: torch.dtype) -> bool:
        """Return whether targets that are rounded to a type can still be told from one another."""
        limits = torch.finfo(dtype)
        rounding = limits.eps * self.mean.abs()
        largest = self.mean.abs() + 10 * self.std
        return bool(((rounding < 0.1 * self.std) & (largest < limits.max)).all())

    def standardize(self, values: Tensor) -> Tensor:
        """Return (values - mean) / std."""
        mean, std = self._on(values.device)
        return (values - mean) / std

    def restore(self, values: Tensor) -> Tensor:
        """Return values * std + mean, in float64."""
        mean, std = self._on(values.device)
        return values.to(mean.dtype) * std + mean

    def attach(self, net: nn.Module) -> RemovableHandle:
        """Let a network return outputs in the units of the targets; removing the handle undoes it."""
        return net.register_forward_hook(self._restore_outputs)

    def is_hook(self, hook: Any) -> bool:
        """Return whether a forward hook is the one that `attach` has registered."""
        return getattr(hook, "__self__", None) is self

    def _restore_outputs(self, net: nn.Module, inputs: Any, outputs: Tensor) -> Tensor:
        return self.restore(outputs)

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device.type == "cpu":
            return self.mean, self.std
        if device not in self._copies:
            dtype = torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs have no float64
            self._copies[device] = (self.mean.to(device, dtype), self.std.to(device, dtype))
        return self._copies[device]
