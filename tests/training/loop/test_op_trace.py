"""Equality of a replay and the traced operations, bit for bit, and errors for functions that cannot be replayed."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainer.training.loop.op_trace import OpTrace, ReplayError
from trainer.training.loop.traced_steps import unwrap_step

IMAGES, TABLE = torch.rand(6, 1, 8, 8), torch.rand(6, 5)
WORDS, CLASSES = torch.randint(0, 7, (6, 4)), torch.tensor([0, 1, 2, 0, 1, 2])


class Series(nn.LSTM):
    """LSTM that returns the state at one step."""

    def forward(self, inputs):
        states, _ = super().forward(inputs)
        return states[torch.arange(len(states)), torch.full((len(states),), 3)]


NETS = {
    "linear": (lambda: nn.Linear(5, 3), TABLE),
    "layers": (
        lambda: nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 3)),
        TABLE,
    ),
    "norms": (lambda: nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 3)), TABLE),
    "images": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(18, 3)),
        IMAGES,
    ),
    "words": (lambda: nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(16, 3)), WORDS),
    "a series": (lambda: Series(1, 4, batch_first=True), TABLE[:, :, None]),
    "a weight used twice": (lambda: twice(nn.Linear(5, 5)), TABLE),
}


def twice(layer):
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(5, 3))


def new_values(inputs):
    return torch.rand_like(inputs) if inputs.is_floating_point() else inputs.flip(0)


def loss_and_gradients(net, inputs, targets=CLASSES, loss=F.cross_entropy):
    value = loss(net(inputs), targets)
    return [value, *torch.autograd.grad(value, list(net.parameters()))]


def build_replay(net, inputs, targets=CLASSES, **kwargs):
    with OpTrace() as trace:
        results = loss_and_gradients(net, inputs, targets, **kwargs)
    return trace.build_replay([*net.parameters(), *net.buffers(), inputs, targets], results)


@pytest.mark.parametrize("name", NETS)
def test_a_replay_with_other_inputs_and_weights_has_the_gradients_of_autograd(name):
    make, inputs = NETS[name]
    net = make()
    replay = build_replay(net, inputs)
    for _ in range(3):
        with torch.no_grad():
            for weight in net.parameters():
                weight.normal_()
        inputs, targets = new_values(inputs), CLASSES.roll(1)
        with torch.no_grad():
            replayed = replay(*net.parameters(), inputs, targets)
        expected = loss_and_gradients(net, inputs, targets)
        assert not any(tensor.requires_grad for tensor in replayed)
        assert all(map(torch.equal, replayed, expected))
        assert [tensor.stride() for tensor in replayed] == [tensor.stride() for tensor in expected]


def test_double_transposes_are_removed():
    replay = build_replay(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), TABLE)
    code = replay.__self__.code
    assert 0 < code.count("torch.t(") < 5  # autograd calls it eight times
    assert "detach" not in code
    assert "alias" not in code


def test_a_function_with_other_defaults_does_not_replace_the_operation():
    """`torch.binary_cross_entropy_with_logits` returns all losses, the operation their mean."""

    def loss(outputs, targets):
        return F.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.float())

    net, targets = nn.Linear(5, 1), CLASSES.clamp(max=1)
    replay = build_replay(net, TABLE, targets, loss=loss)
    with torch.no_grad():
        replayed = replay(*net.parameters(), TABLE, targets)
    assert all(map(torch.equal, replayed, loss_and_gradients(net, TABLE, targets, loss=loss)))


class UsesOutsideTensor(nn.Linear):
    factor = torch.tensor(2.0)

    def forward(self, inputs):
        return super().forward(inputs) * self.factor


class BranchesOnValue(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs) if inputs.sum() > 0 else -super().forward(inputs)


class SelectsRows(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs[inputs.sum(1) > 0.1])


NOT_TRACEABLE = {
    "a mean over all batches": (lambda: nn.Sequential(nn.BatchNorm1d(5, momentum=None), nn.Linear(5, 3)), "on values"),
    "a tensor from outside": (lambda: UsesOutsideTensor(5, 3), "a tensor from outside"),
    "a branch on a value": (lambda: BranchesOnValue(5, 3), "depend on values"),
    "a variable number of rows": (lambda: SelectsRows(5, 3), "depend on values"),
}


@pytest.mark.parametrize("name", NOT_TRACEABLE)
def test_a_function_that_may_behave_differently_is_rejected(name):
    make, reason = NOT_TRACEABLE[name]
    with pytest.raises(ReplayError, match=reason):
        build_replay(make(), TABLE)


@pytest.mark.parametrize("optimizer_class", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_an_update_is_replayed_with_other_learning_rates(optimizer_class):
    def make_weights():
        torch.manual_seed(1)
        return [nn.Parameter(torch.rand(3)), nn.Parameter(torch.rand(2, 2))]

    def step(optimizer, rate, rows):
        for group, factor in zip(optimizer.param_groups, (1.0, 0.1), strict=True):
            group["lr"] = rate * factor
        for weight in rows:
            weight.grad = torch.sin(weight.detach() * 9)
        return [group["lr"] for group in optimizer.param_groups]

    expected, weights = make_weights(), make_weights()
    optimizers = [
        optimizer_class([{"params": rows[:1]}, {"params": rows[1:]}], lr=0.1, fused=True)
        for rows in (expected, weights)
    ]
    for optimizer, rows in zip(optimizers, (expected, weights), strict=True):
        step(optimizer, 0.1, rows)
        optimizer.step()

    def inputs():
        states = [
            value
            for values in optimizers[1].state.values()
            for value in values.values()
            if isinstance(value, torch.Tensor)
        ]
        return [*weights, *(weight.grad for weight in weights), *states]

    step(optimizers[1], 0.1, weights)
    step(optimizers[0], 0.1, expected)
    optimizers[0].step()
    with OpTrace() as trace:
        unwrap_step(optimizers[1])()
    replay = trace.build_replay(inputs(), [], varying="lr")
    for rate in (0.2, 0.05, 0.3):
        step(optimizers[0], rate, expected)
        optimizers[0].step()
        rates = step(optimizers[1], rate, weights)
        with torch.no_grad():
            replay(*inputs(), *rates)
        assert all(map(torch.equal, expected, weights))


def test_a_trace_does_not_import_the_compiler():
    code = "import sys, torch; from trainer.training.loop.op_trace import OpTrace\nwith OpTrace(): torch.zeros(2) + 1\n"
    subprocess.run([sys.executable, "-c", code + "assert 'torch._dynamo' not in sys.modules"], check=True)
