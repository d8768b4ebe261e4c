"""Muon for the matrices of hidden layers, with AdamW for all other parameters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from trainer.core.errors import UserError

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


class MuonAdamW(Optimizer):
    """Train the matrices of hidden layers by Muon, and all other parameters by AdamW.

    Embeddings and the output layer, which is the last matrix, are trained by AdamW; so are biases, norms and the
    kernels of convolutions, as PyTorch's Muon accepts nothing but matrices. A parameter group decides otherwise with
    its option `algorithm`.

    Both are the optimizers of `torch.optim`, with shared parameter groups and states. So schedules, checkpoints and
    gradient clipping treat them as one optimizer.

    Args:
        params: Parameters or parameter groups.
        lr: Learning rate of both optimizers. With `adjust_lr_fn=match_rms_adamw`, one that suits AdamW suits Muon.
        weight_decay: Decoupled weight decay of both optimizers.
        momentum: Momentum of Muon.
        nesterov: Whether Muon uses Nesterov momentum.
        ns_steps: Steps of the Newton-Schulz iteration that orthogonalizes an update.
        adjust_lr_fn: Factor of Muon's rate by the shape of a matrix: `original`, `match_rms_adamw` or
            `spectral_unclamped`.
        adamw_lr: Learning rate of AdamW. Defaults to `lr`.
        betas: Coefficients of AdamW's running averages.
        eps: Term of AdamW that is added to the denominator.
        fused: Whether AdamW runs as one kernel.
        algorithm: `muon` or `adamw`. Defaults to `muon` for matrices and `adamw` for other parameters.

    Raises:
        UserError: Muon would train a parameter that is no matrix.

    Source:
        Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks (kellerjordan.github.io/posts/muon);
        Liu et al. 2025, Muon is scalable for LLM training, section 2.2 (rates and weight decay of AdamW for Muon).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: str = "match_rms_adamw",
        adamw_lr: float | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        fused: bool = True,
        algorithm: Literal["muon", "adamw"] | None = None,
    ) -> None:
        shared = {"lr": lr, "weight_decay": weight_decay}
        muon: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
        muon |= {"adjust_lr_fn": adjust_lr_fn, **shared}
        adamw: dict[str, Any] = {"betas": tuple(betas), "eps": eps, "fused": fused}
        adamw |= shared if adamw_lr is None else {**shared, "lr": adamw_lr}
        # both check their options, and add those that are not listed here
        matrix = [nn.Parameter(torch.zeros(1, 1))]
        self._optimizers: dict[str, Optimizer] = {"muon": Muon(matrix, **muon), "adamw": AdamW(matrix, **adamw)}
        super().__init__(params, {"algorithm": algorithm})

    @staticmethod
    def choose_algorithms(net: nn.Module, parameters: Sequence[nn.Parameter]) -> Mapping[int, str]:
        """Return the algorithm of each parameter of a network by its id.

        Raises:
            UserError: Muon would train no parameter.
        """
        embeddings = {
            id(weight) for part in net.modules() if isinstance(part, EMBEDDINGS) for weight in part.parameters()
        }
        matrices = [id(parameter) for parameter in parameters if parameter.ndim == 2]
        hidden = {*matrices[:-1]} - embeddings
        if not hidden:
            raise UserError("optimizer: the network has no matrix of a hidden layer for Muon; use optimizer=adamw")
        return {key: "muon" if key in hidden else "adamw" for key in map(id, parameters)}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; one without `algorithm` is split into matrices and other parameters."""
        algorithm = param_group.get("algorithm", self.defaults["algorithm"])
        parameters = param_group["params"]
        parts: dict[str, list[Tensor]] = {"muon": [], "adamw": []}
        for parameter in [parameters] if isinstance(parameters, Tensor) else parameters:
            if algorithm == "muon" and parameter.ndim != 2:
                shape = [*parameter.shape]
                raise UserError(f"optimizer: Muon trains matrices only, and a parameter has the shape {shape}")
            parts[algorithm or ("muon" if parameter.ndim == 2 else "adamw")].append(parameter)
        for name, part in parts.items():
            if part:
                defaults = self._optimizers[name].defaults
                super().add_param_group({**defaults, **param_group, "params": part, "algorithm": name})
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters.

        Args:
            closure: Function that computes the loss and the gradients. Defaults to none.

        Returns:
            Loss of the closure, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self._optimizers.values():
            optimizer.step()
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Let both optimizers use the groups and the state of this one, which a checkpoint may have replaced."""
        for name, optimizer in self._optimizers.items():
            optimizer.param_groups = [group for group in self.param_groups if group["algorithm"] == name]
            optimizer.state = self.state
