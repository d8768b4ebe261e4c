"""A tape's function does what was done, bit for bit, or is refused."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainer.training.loop.op_trace import RepeatError, Tape
from trainer.training.loop.traced_steps import bare_step

IMAGES, TABLE = torch.rand(6, 1, 8, 8), torch.rand(6, 5)
WORDS, CLASSES = torch.randint(0, 7, (6, 4)), torch.tensor([0, 1, 2, 0, 1, 2])


class Series(nn.LSTM):
    """The state at some step of each."""

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


def fresh(inputs):
    return torch.rand_like(inputs) if inputs.is_floating_point() else inputs.flip(0)


def loss_and_gradients(net, inputs, targets=CLASSES, loss=F.cross_entropy):
    value = loss(net(inputs), targets)
    return [value, *torch.autograd.grad(value, list(net.parameters()))]


def taped(net, inputs, targets=CLASSES, **more):
    with Tape() as tape:
        results = loss_and_gradients(net, inputs, targets, **more)
    return tape.again([*net.parameters(), *net.buffers(), inputs, targets], results)


@pytest.mark.parametrize("name", NETS)
def test_other_inputs_and_other_weights_have_the_very_gradients_of_autograd(name):
    make, inputs = NETS[name]
    net = make()
    again = taped(net, inputs)
    for _ in range(3):
        with torch.no_grad():
            for weight in net.parameters():
                weight.normal_()
        inputs, targets = fresh(inputs), CLASSES.roll(1)
        with torch.no_grad():
            found = again(*net.parameters(), inputs, targets)
        wanted = loss_and_gradients(net, inputs, targets)
        assert not any(tensor.requires_grad for tensor in found)
        assert all(map(torch.equal, found, wanted))
        assert [tensor.stride() for tensor in found] == [tensor.stride() for tensor in wanted]


def test_a_matrix_that_is_turned_twice_is_the_matrix():
    again = taped(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), TABLE)
    code = again.__self__.code
    assert 0 < code.count("torch.t(") < 5  # autograd makes eight of them
    assert "detach" not in code
    assert "alias" not in code


def test_a_function_with_other_defaults_is_not_taken_for_the_operation():
    """`torch.binary_cross_entropy_with_logits` gives all losses where the operation gives their mean."""

    def loss(outputs, targets):
        return F.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.float())

    net, targets = nn.Linear(5, 1), CLASSES.clamp(max=1)
    again = taped(net, TABLE, targets, loss=loss)
    with torch.no_grad():
        found = again(*net.parameters(), TABLE, targets)
    assert all(map(torch.equal, found, loss_and_gradients(net, TABLE, targets, loss=loss)))


class Elsewhere(nn.Linear):
    factor = torch.tensor(2.0)

    def forward(self, inputs):
        return super().forward(inputs) * self.factor


class Looking(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs) if inputs.sum() > 0 else -super().forward(inputs)


class Counting(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs[inputs.sum(1) > 0.1])


UNSTEADY = {
    "a mean over all batches": (lambda: nn.Sequential(nn.BatchNorm1d(5, momentum=None), nn.Linear(5, 3)), "on values"),
    "a tensor from elsewhere": (lambda: Elsewhere(5, 3), "a tensor from elsewhere"),
    "a look at a value": (lambda: Looking(5, 3), "depends on values"),
    "as many rows as are chosen": (lambda: Counting(5, 3), "depends on values"),
}


@pytest.mark.parametrize("name", UNSTEADY)
def test_what_might_do_something_else_is_refused(name):
    make, reason = UNSTEADY[name]
    with pytest.raises(RepeatError, match=reason):
        taped(make(), TABLE)


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_an_update_is_made_again_at_other_rates(make):
    def weights():
        torch.manual_seed(1)
        return [nn.Parameter(torch.rand(3)), nn.Parameter(torch.rand(2, 2))]

    def step(optimizer, rate, rows):
        for group, factor in zip(optimizer.param_groups, (1.0, 0.1), strict=True):
            group["lr"] = rate * factor
        for weight in rows:
            weight.grad = torch.sin(weight.detach() * 9)
        return [group["lr"] for group in optimizer.param_groups]

    usual, others = weights(), weights()
    optimizers = [make([{"params": rows[:1]}, {"params": rows[1:]}], lr=0.1, fused=True) for rows in (usual, others)]
    for optimizer, rows in zip(optimizers, (usual, others), strict=True):
        step(optimizer, 0.1, rows)
        optimizer.step()

    def given():
        states = [
            one for kept in optimizers[1].state.values() for one in kept.values() if isinstance(one, torch.Tensor)
        ]
        return [*others, *(weight.grad for weight in others), *states]

    step(optimizers[1], 0.1, others)
    step(optimizers[0], 0.1, usual)
    optimizers[0].step()
    with Tape() as tape:
        bare_step(optimizers[1])()
    again = tape.again(given(), [], free="lr")
    for rate in (0.2, 0.05, 0.3):
        step(optimizers[0], rate, usual)
        optimizers[0].step()
        rates = step(optimizers[1], rate, others)
        with torch.no_grad():
            again(*given(), *rates)
        assert all(map(torch.equal, usual, others))


def test_a_tape_brings_no_compiler_along():
    code = "import sys, torch; from trainer.training.loop.op_trace import Tape\nwith Tape(): torch.zeros(2) + 1\n"
    subprocess.run([sys.executable, "-c", code + "assert 'torch._dynamo' not in sys.modules"], check=True)
