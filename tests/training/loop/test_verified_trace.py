"""A routine is done by its operations only where they do the same."""

import torch

from trainer.training.loop import verified_trace
from trainer.training.loop.traced_steps import bare_step
from trainer.training.loop.verified_trace import Routine


def test_an_update_that_is_off_is_not_taken_either():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.5, fused=True)
    factor = [1.0]

    def usual():
        bare_step(optimizer)()
        with torch.no_grad():
            weight.mul_(factor[0])  # which is not in the list of operations
        return []

    update = Routine("update", usual, free="lr")
    for time in range(verified_trace.WATCHED + 1 + verified_trace.PROOFS):
        weight.grad = torch.full((2,), 0.125)
        if time == verified_trace.WATCHED + 1:  # after they were noted
            factor[0] = 0.5
        update([weight, weight.grad], rates=[0.5])
    assert update.refused
