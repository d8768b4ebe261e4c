"""Mean and standard deviation of the training targets, which make regression losses independent of units."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

MIN_RELATIVE_STD = 1e-12  # of the mean; below it all targets are equal except for rounding


class TargetScale:
    """Mean and standard deviation of each output's training targets, in float64.

    Attached to a network, it converts the standardized outputs of the network to the units of the targets. A loss
    compares outputs and targets in standardized units; all other code uses the original units.

    Args:
        mean: Means, (outputs,).
        std: Standard deviations greater than 0, (outputs,).
    """

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean = mean.double()
        self.std = std.double()
        self._device_copies: dict[torch.device, tuple[Tensor, Tensor]] = {}

    @classmethod
    def of(cls, targets: Tensor) -> "TargetScale":
        """Return the scale of training targets (examples, outputs); a constant target gets the standard deviation 1."""
        values = targets.double()
        largest = values.abs().amax(0).clamp(min=1e-300)  # squares of numbers above 1e154 would overflow
        mean = (values / largest).mean(0)
        std = (values / largest).std(0, correction=0)
        varies = std > MIN_RELATIVE_STD * mean.abs()
        return cls(mean * largest, torch.where(varies, std * largest, 1.0))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "TargetScale":
        """Return the scale that a result of `state` describes."""
        return cls(*(torch.tensor(state[name], dtype=torch.float64) for name in ("mean", "std")))

    def state(self) -> dict[str, Any]:
        """Return plain containers for a checkpoint."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:.6g}" for value in values.tolist()) for values in (self.mean, self.std))
        return f"mean {mean}, standard deviation {std}"

    @property
    def tensors(self) -> list[Tensor]:
        """Return mean and standard deviation on the CPU, which a training step on the CPU reads."""
        return [self.mean, self.std]

    def fits_dtype(self, dtype: torch.dtype) -> bool:
        """Return whether targets can be rounded to a type without becoming equal or infinite."""
        limits = torch.finfo(dtype)
        rounding = limits.eps * self.mean.abs()
        largest = self.mean.abs() + 10 * self.std
        return bool(((rounding < 0.1 * self.std) & (largest < limits.max)).all())

    def standardize(self, values: Tensor) -> Tensor:
        """Return (values - mean) / std."""
        mean, std = self._to_device(values.device)
        return (values - mean) / std

    def unstandardize(self, values: Tensor) -> Tensor:
        """Return values * std + mean, in float64."""
        mean, std = self._to_device(values.device)
        return values.to(mean.dtype) * std + mean

    def attach(self, net: nn.Module) -> RemovableHandle:
        """Make a network return outputs in the units of the targets until the returned handle is removed."""
        return net.register_forward_hook(self._unstandardize_outputs)

    def is_hook(self, hook: Any) -> bool:
        """Return whether a forward hook is the one that `attach` has registered."""
        return getattr(hook, "__self__", None) is self

    def _unstandardize_outputs(self, net: nn.Module, inputs: Any, outputs: Tensor) -> Tensor:
        return self.unstandardize(outputs)

    def _to_device(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device.type == "cpu":
            return self.mean, self.std
        if device not in self._device_copies:
            dtype = torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs have no float64
            self._device_copies[device] = (self.mean.to(device, dtype), self.std.to(device, dtype))
        return self._device_copies[device]
