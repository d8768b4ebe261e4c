"""A routine is done by its operations only where they do the same."""

import torch

from trainer.loop import routine
from trainer.loop.recorded import bare_step
from trainer.loop.routine import Routine


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
    for time in range(routine.WATCHED + 1 + routine.PROOFS):
        weight.grad = torch.full((2,), 0.125)
        if time == routine.WATCHED + 1:  # after they were noted
            factor[0] = 0.5
        update([weight, weight.grad], rates=[0.5])
    assert update.refused
