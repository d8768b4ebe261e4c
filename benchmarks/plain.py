"""A plain PyTorch loop, written as fast as we can: no framework, and nothing unnecessary in a step.

Examples are tensors in memory and are selected by index, the optimizer is fused where that is faster, no step waits for
a number, and the net is ours, so images are channels-last and attention is PyTorch's fused one. Like ours, it logs the
loss to TensorBoard, validates with the same metrics, and saves the best and the last weights.
"""

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from jobs import Examples, Job
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

LOSSES = {"bce": F.binary_cross_entropy_with_logits, "cross_entropy": F.cross_entropy, "mse": F.mse_loss}


def train(job: Job, directory: Path) -> tuple[int, float]:
    """Train and write events and weights to the directory; return steps and seconds."""
    net = job.net
    compute_loss = LOSSES[job.loss]
    inputs, targets = cast_targets(job, job.train)
    optimizer = build_optimizer(job)
    best = float("inf")
    step = 0
    rows = len(targets)
    net.train()
    start = time.perf_counter()
    writer = SummaryWriter(directory)
    for epoch in range(1, job.epochs + 1):
        is_full_batch = rows <= job.batch  # the order has no effect
        order = None if is_full_batch else torch.randperm(rows)
        for index in range(job.steps):
            batch_inputs = inputs
            batch_targets = targets
            if order is not None:
                indices = order[index * job.batch : (index + 1) * job.batch]
                batch_inputs = inputs[indices]
                batch_targets = targets[indices]
            loss = compute_loss(net(prepare(job, batch_inputs)), batch_targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % job.log_every == 0:
                writer.add_scalar("train/loss", loss.item(), step)
        if epoch % job.check_every == 0:
            metrics = evaluate(job, cast_targets(job, job.val))
            for name, value in metrics.items():
                writer.add_scalar(f"val/{name}", value, step)
            if metrics["loss"] < best:
                best = metrics["loss"]
                torch.save(net.state_dict(), directory / "best.pt")
            torch.save(net.state_dict(), directory / "last.pt")
    writer.close()
    return step, time.perf_counter() - start


def test(job: Job, directory: Path) -> tuple[int, float]:
    """Evaluate the test examples; return their number and seconds."""
    examples = cast_targets(job, job.test)
    start = time.perf_counter()
    evaluate(job, examples)
    return len(examples[1]), time.perf_counter() - start


def evaluate(job: Job, examples: Examples) -> dict[str, float]:
    """Return the loss and metrics over all examples; the net is in training mode afterwards."""
    inputs, targets = examples
    job.net.eval()
    with torch.inference_mode():
        outputs = torch.cat([job.net(prepare(job, batch)) for batch in inputs.split(job.eval_batch)])
        metrics = {"loss": LOSSES[job.loss](outputs, targets).item()}
        metrics |= {name: METRICS[name](outputs, targets).item() for name in job.metrics}
    job.net.train()
    return metrics


def cast_targets(job: Job, examples: Examples) -> Examples:
    """Return the inputs as stored, and the targets as the loss expects them."""
    inputs, targets = examples
    return inputs, targets.float()[:, None] if job.loss == "bce" else targets


def prepare(job: Job, inputs: Tensor) -> Tensor:
    """Return a batch as the net expects it: bytes are standardized to floats."""
    if job.pixels is None:
        return inputs
    mean, std = job.pixels
    return inputs.float().sub_(mean).div_(std)


def build_optimizer(job: Job) -> torch.optim.Optimizer:
    """Return a fused optimizer, except for SGD of few weights, for which the fused step is slower."""
    name, arguments = job.optimizer
    is_small = sum(weights.numel() for weights in job.net.parameters()) < 1000
    return getattr(torch.optim, name)(job.net.parameters(), **arguments, fused=not (is_small and name == "SGD"))


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the fraction of correct classes."""
    correct = (outputs > 0) == (targets > 0.5) if outputs.shape[1] == 1 else outputs.argmax(1) == targets
    return correct.float().mean()


def auroc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the area under the ROC curve of two classes, by ranks; ties count half."""
    positive = targets.flatten() > 0.5
    _, index, ties = torch.unique(outputs.flatten(), return_inverse=True, return_counts=True)
    ranks = (ties.cumsum(0) - (ties - 1) / 2)[index]
    count = positive.sum()
    return (ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count))


def r2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the fraction of the variance that is explained."""
    return 1 - (targets - outputs).square().sum() / (targets - targets.mean()).square().sum()


def counts(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the number of true positives, predicted positives and positives."""
    predicted = outputs > 0
    positive = targets > 0.5
    return (predicted & positive).sum(), predicted.sum(), positive.sum()


def precision(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the precision of two classes."""
    true_positives, predicted, _ = counts(outputs, targets)
    return true_positives / predicted


def recall(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the recall of two classes."""
    true_positives, _, positives = counts(outputs, targets)
    return true_positives / positives


def f1(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the harmonic mean of precision and recall."""
    true_positives, predicted, positives = counts(outputs, targets)
    return 2 * true_positives / (predicted + positives)


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
