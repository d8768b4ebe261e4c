"""Protocol of two networks that are trained against each other."""

from typing import Protocol, TypeGuard

from torch import Tensor, nn


class AdversarialNetworks(Protocol):
    """A generator and a discriminator, e.g. `trainer.model.gan`."""

    latent: int  # noise values per generated input
    generator: nn.Module
    discriminator: nn.Module

    def generate(self, noise: Tensor, targets: Tensor) -> Tensor:
        """Return inputs (batch, *spec.shape) generated from noise (batch, latent); may use the targets."""
        ...

    def discriminate(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return logits (batch, 1): above 0 if inputs are real and match the targets."""
        ...

    def update_average(self) -> None:
        """Update running averages of weights, if any; called after each step of the generator."""
        ...


def is_adversarial(net: object) -> TypeGuard[AdversarialNetworks]:
    """Return whether a network has a generator and a discriminator.

    Since Python 3.12, `isinstance` does not find attributes that `__getattr__` returns, as the parts of a module are.
    """
    members = ("latent", "generator", "discriminator", "generate", "discriminate", "update_average")
    return all(hasattr(net, name) for name in members)
