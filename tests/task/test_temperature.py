"""Tests of temperature scaling."""

import pytest
import torch
import torch.nn.functional as F

from trainer.core.errors import UserError
from trainer.task.temperature import compute_cross_entropy, fit_temperature


def test_the_temperature_is_the_one_of_simulated_probabilities():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(20_000, 4, generator=generator) * 2
    targets = (logits / 2.5).softmax(1).multinomial(1, generator=generator).flatten()
    temperature = fit_temperature(logits, targets)
    assert temperature == pytest.approx(2.5, rel=0.05)
    for other in (0.99 * temperature, 1.01 * temperature, 1.0):
        assert compute_cross_entropy(logits, targets, temperature) < compute_cross_entropy(logits, targets, other)


def test_the_gradient_of_the_cross_entropy_is_zero_at_the_temperature():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(500, 3, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (500,), generator=generator)
    targets[:300] = logits[:300].argmax(1)
    temperature = torch.tensor(fit_temperature(logits, targets), requires_grad=True)
    F.cross_entropy(logits / temperature, targets).backward()
    assert abs(temperature.grad.item()) < 1e-6


def test_two_classes_have_the_binary_cross_entropy():
    logits = torch.tensor([[0.5], [-1.0], [2.0]])
    targets = torch.tensor([1, 1, 0])
    expected = F.binary_cross_entropy_with_logits(logits.flatten() / 1.7, targets.float()).item()
    assert compute_cross_entropy(logits, targets, 1.7) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("logits", "targets"), [(torch.eye(3), torch.arange(3)), (torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 0]))]
)
def test_perfect_predictions_have_no_best_temperature(logits, targets):
    with pytest.raises(UserError, match="all validation examples are predicted correctly"):
        fit_temperature(logits, targets)
    fit_temperature(logits, targets.flip(0))
