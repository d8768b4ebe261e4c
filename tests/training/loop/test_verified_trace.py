"""Rejection of a trace whose replay has other results."""

import torch

from trainer.training.loop import verified_trace
from trainer.training.loop.traced_steps import unwrap_step
from trainer.training.loop.verified_trace import VerifiedTrace


def test_an_update_with_other_results_is_rejected():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.5, fused=True)
    factor = [1.0]

    def function():
        unwrap_step(optimizer)()
        with torch.no_grad():
            weight.mul_(factor[0])  # is 1 when it is traced
        return []

    update = VerifiedTrace("update", function, varying="lr")
    for call in range(verified_trace.WARMUP_CALLS + 1 + verified_trace.VERIFICATION_CALLS):
        weight.grad = torch.full((2,), 0.125)
        if call == verified_trace.WARMUP_CALLS + 1:  # after the trace
            factor[0] = 0.5
        update([weight, weight.grad], values=[0.5])
    assert update.is_rejected
