"""A plain PyTorch loop, written as well as we can: no framework, and nothing in a step that need not be there.

Examples lie in memory as tensors and are taken by index, the optimizer is fused where that is faster, no step waits for
a number, and the net is ours, so images are channels-last and attention is PyTorch's own in one step. As ours does, it
logs the loss to TensorBoard, validates with the same metrics, and saves the best and the last weights.
"""

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from jobs import Examples, Job
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

LOSSES = {"bce": F.binary_cross_entropy_with_logits, "cross_entropy": F.cross_entropy, "mse": F.mse_loss}


def train(job: Job, folder: Path) -> tuple[int, float]:
    """Train, and leave events and weights in the folder: steps and seconds."""
    net, loss_of, (inputs, targets) = job.net, LOSSES[job.loss], examples(job, job.train)
    optimizer = optimizer_of(job)
    best, step, batch, rows = float("inf"), 0, job.batch, len(targets)
    net.train()
    began = time.perf_counter()
    writer = SummaryWriter(folder)
    for epoch in range(1, job.epochs + 1):
        whole = rows <= batch  # then an order would change nothing
        order = None if whole else torch.randperm(rows)
        for place in range(job.steps):
            taken, wanted = inputs, targets
            if order is not None:
                chosen = order[place * batch : (place + 1) * batch]
                taken, wanted = inputs[chosen], targets[chosen]
            loss = loss_of(net(prepared(job, taken)), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % job.log_every == 0:
                writer.add_scalar("train/loss", loss.item(), step)
        if epoch % job.check_every == 0:
            found = judge(job, examples(job, job.val))
            for name, value in found.items():
                writer.add_scalar(f"val/{name}", value, step)
            if found["loss"] < best:
                best = found["loss"]
                torch.save(net.state_dict(), folder / "best.pt")
            torch.save(net.state_dict(), folder / "last.pt")
    writer.close()
    return step, time.perf_counter() - began


def test(job: Job, folder: Path) -> tuple[int, float]:
    """Judge the test examples: how many, and seconds."""
    part = examples(job, job.test)
    began = time.perf_counter()
    judge(job, part)
    return len(part[1]), time.perf_counter() - began


def judge(job: Job, part: Examples) -> dict[str, float]:
    """Loss and metrics over all examples, the net as it is; it goes on learning afterwards."""
    inputs, targets = part
    job.net.eval()
    with torch.inference_mode():
        outputs = torch.cat([job.net(prepared(job, some)) for some in inputs.split(job.eval_batch)])
        found = {"loss": LOSSES[job.loss](outputs, targets).item()}
        found |= {name: METRICS[name](outputs, targets).item() for name in job.metrics}
    job.net.train()
    return found


def examples(job: Job, part: Examples) -> Examples:
    """Inputs as stored, and targets as the loss takes them."""
    inputs, targets = part
    return inputs, targets.float()[:, None] if job.loss == "bce" else targets


def prepared(job: Job, inputs: Tensor) -> Tensor:
    """A batch as the net takes it: bytes become floats of mean 0 and deviation 1."""
    if job.pixels is None:
        return inputs
    mean, deviation = job.pixels
    return inputs.float().sub_(mean).div_(deviation)


def optimizer_of(job: Job) -> torch.optim.Optimizer:
    """Fused, save for SGD of a few weights, where the fused step takes longer."""
    name, arguments = job.optimizer
    few = sum(weights.numel() for weights in job.net.parameters()) < 1000
    return getattr(torch.optim, name)(job.net.parameters(), **arguments, fused=not (few and name == "SGD"))


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the examples whose class is right."""
    right = (outputs > 0) == (targets > 0.5) if outputs.shape[1] == 1 else outputs.argmax(1) == targets
    return right.float().mean()


def auroc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Area under the ROC curve of two classes: by ranks, ties count half."""
    positive = targets.flatten() > 0.5
    _, place, ties = torch.unique(outputs.flatten(), return_inverse=True, return_counts=True)
    ranks = (ties.cumsum(0) - (ties - 1) / 2)[place]
    many = positive.sum()
    return (ranks[positive].sum() - many * (many + 1) / 2) / (many * (len(positive) - many))


def r2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the variance that is explained."""
    return 1 - (targets - outputs).square().sum() / (targets - targets.mean()).square().sum()


def counts(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of two classes: the second one said rightly, said, and true."""
    said, true = outputs > 0, targets > 0.5
    return (said & true).sum(), said.sum(), true.sum()


def precision(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of what was said to be the second class that is."""
    right, said, _ = counts(outputs, targets)
    return right / said


def recall(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the second class that was found."""
    right, _, true = counts(outputs, targets)
    return right / true


def f1(outputs: Tensor, targets: Tensor) -> Tensor:
    """Harmonic mean of precision and recall."""
    right, said, true = counts(outputs, targets)
    return 2 * right / (said + true)


METRICS = {
    "accuracy": accuracy,
    "auroc": auroc,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "mae": F.l1_loss,
    "rmse": lambda outputs, targets: F.mse_loss(outputs, targets).sqrt(),
    "r2": r2,
}
