"""Muon for the matrices of hidden layers, with AdamW for all other parameters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from trainer.core.errors import UserError

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


class MuonAdamW(Optimizer):
    """Train the matrices of hidden layers by Muon, and all other parameters by AdamW.

    Embeddings and the output layer, which is the last matrix, are trained by AdamW; so are biases, norms and the
    kernels of convolutions, as PyTorch's Muon accepts nothing but matrices. A parameter group decides otherwise with
    its option `use_muon`.

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
        use_muon: Whether Muon trains the parameters. Defaults to the matrices.

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
        use_muon: bool | None = None,
    ) -> None:
        shared = {"lr": lr, "weight_decay": weight_decay}
        muon: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
        muon |= {"adjust_lr_fn": adjust_lr_fn, **shared}
        adamw: dict[str, Any] = {"betas": tuple(betas), "eps": eps, "fused": fused}
        adamw |= shared if adamw_lr is None else {**shared, "lr": adamw_lr}
        # both check their options, and add those that are not listed here
        matrix = [nn.Parameter(torch.zeros(1, 1))]
        self._muon = Muon(matrix, **muon)
        self._adamw = AdamW(matrix, **adamw)
        super().__init__(params, {"use_muon": use_muon})

    @staticmethod
    def group_by_kind(net: nn.Module, parameters: Sequence[nn.Parameter]) -> Mapping[int, tuple[str, dict[str, Any]]]:
        """Return name and options of the group of each parameter by its id.

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
        return {
            key: ("muon", {"use_muon": True}) if key in hidden else ("adamw", {"use_muon": False})
            for key in map(id, parameters)
        }

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; one without `use_muon` is split into matrices and other parameters."""
        use_muon = param_group.get("use_muon", self.defaults["use_muon"])
        parameters = param_group["params"]
        parameters = [parameters] if isinstance(parameters, Tensor) else [*parameters]
        for is_muon in (True, False):
            part = [
                item for item in parameters if use_muon is is_muon or (use_muon is None and is_muon == (item.ndim == 2))
            ]
            if is_muon and (other := next((item for item in part if item.ndim != 2), None)) is not None:
                raise UserError(f"optimizer: Muon trains matrices only, and a parameter has the shape {[*other.shape]}")
            if part:
                defaults = (self._muon if is_muon else self._adamw).defaults
                super().add_param_group({**defaults, **param_group, "params": part, "use_muon": is_muon})
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
        self._muon.step()  # type: ignore[no-untyped-call]
        self._adamw.step()
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Let both optimizers use the groups and the state of this one, which a checkpoint may have replaced."""
        for part, is_muon in ((self._muon, True), (self._adamw, False)):
            part.param_groups = [group for group in self.param_groups if group["use_muon"] is is_muon]
            part.state = self.state
