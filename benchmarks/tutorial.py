"""Training of the tutorials' scripts with a DataLoader over single examples, and `.item()` in each step.

The nets are those of the tutorials. As their scripts do, this evaluates held-out examples after each epoch; it saves
and logs nothing.
"""

import os
import time
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from jobs import Job
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset


def train(job: Job, directory: Path) -> tuple[int, float]:
    """Train, with an evaluation on as many examples as ours after each epoch; return steps and seconds."""
    name, arguments = job.optimizer
    net = build_net(job)
    nets = [net.generator, net.discriminator] if isinstance(net, Gan) else [net]
    optimizers = [getattr(torch.optim, name)(part.parameters(), **arguments) for part in nets]
    training = DataLoader(build_dataset(job, train=True), job.batch, shuffle=True)
    validation = DataLoader(build_dataset(job, train=False), 1000)
    step = adversarial_step if isinstance(net, Gan) else supervised_step
    count = 0
    start = time.perf_counter()
    for _ in range(job.epochs):
        net.train()
        running_loss = 0.0
        for index, (inputs, targets) in enumerate(training):
            if index == job.steps:
                break
            running_loss += step(net, optimizers, inputs, targets)
            count += 1
        evaluate(net, validation)
    return count, time.perf_counter() - start


def supervised_step(net, optimizers, inputs, targets) -> float:
    """Run one step; return the loss."""
    optimizers[0].zero_grad()
    loss = compute_loss(net(inputs), targets)
    loss.backward()
    optimizers[0].step()
    return loss.item()


def adversarial_step(net, optimizers, images, targets) -> float:
    """Run one step of the discriminator, then one of the generator; return the sum of the losses."""
    real = torch.ones(len(images), 1)
    fake = torch.zeros(len(images), 1)
    fakes = net.generator(torch.randn(len(images), 100))
    optimizers[1].zero_grad()
    loss = F.binary_cross_entropy(net.discriminator(images), real)
    loss = loss + F.binary_cross_entropy(net.discriminator(fakes.detach()), fake)
    loss.backward()
    optimizers[1].step()
    optimizers[0].zero_grad()
    generator_loss = F.binary_cross_entropy(net.discriminator(fakes), real)
    generator_loss.backward()
    optimizers[0].step()
    return loss.item() + generator_loss.item()


def evaluate(net, loader) -> float:
    """Compute the loss and the accuracy over all held-out examples, as the scripts do; return the accuracy."""
    net.eval()
    loss = 0.0
    correct = 0
    rows = 0
    with torch.no_grad():
        for inputs, targets in loader:
            if isinstance(net, Gan):
                fakes = net.generator(torch.randn(len(inputs), 100))
                correct += (net.discriminator(inputs) > net.discriminator(fakes)).sum().item()
            else:
                outputs = net(inputs)
                loss += compute_loss(outputs, targets).item() * len(targets)
                predicted = outputs.flatten() > 0 if outputs.shape[1] == 1 else outputs.argmax(1)
                correct += (predicted == targets).sum().item()
            rows += len(targets)
    return correct / rows


def compute_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy, for two classes of one logit."""
    if outputs.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(outputs, targets.float()[:, None])
    return F.cross_entropy(outputs, targets)


def build_dataset(job: Job, *, train: bool) -> Dataset:
    """Return images as torchvision reads them, as many as ours has, or reviews padded to the maximum length."""
    examples = job.train if train else job.val
    if job.data not in ("mnist", "cifar10"):
        return TensorDataset(examples[0].long(), examples[1])
    from torchvision import datasets, transforms

    mean, std = (0.5, 0.5) if job.adversarial else (number.flatten() / 255 for number in job.pixels)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    dataset_class = datasets.MNIST if job.data == "mnist" else datasets.CIFAR10
    dataset = dataset_class(os.environ.get("TRAINER_DATA_DIR", "data"), train=train, transform=transform)
    return Subset(dataset, range(len(examples[1])))


def build_net(job: Job) -> nn.Module:
    """Return the net of the tutorial for these data."""
    if job.adversarial:
        return Gan()
    if job.data == "imdb":
        return Attention(job.net) if hasattr(job.net, "blocks") else ReviewLstm()
    return MnistNet() if job.data == "mnist" else CifarNet()


class MnistNet(nn.Module):
    """Two convolutions of 32 and 64 channels and 128 hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(64 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, 28, 28) -> (batch, 10)."""
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc2(F.relu(self.fc1(x.view(-1, 64 * 7 * 7))))


class CifarNet(nn.Module):
    """LeNet with 6 and 16 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 32, 32) -> (batch, 10)."""
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))))


class ReviewLstm(nn.Module):
    """Embedding of 128, two LSTM layers of 64, the last state, a dense layer of 64."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10000, 128)
        self.lstm = nn.LSTM(128, 64, num_layers=2, batch_first=True)
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, words) -> (batch, 1)."""
        states, _ = self.lstm(self.embedding(x))
        return self.fc2(F.relu(self.fc1(states[:, -1])))


class Attention(nn.Module):
    """One block of self-attention, which always computes the attention weights, and the mean over words."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        block = net.blocks[0]
        width = block.attention.out_proj.in_features
        inner = block.dense[0].out_features
        self.embedding = nn.Embedding(10000, width)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 500, width))
        self.attention = nn.MultiheadAttention(width, block.attention.heads, batch_first=True)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, words) -> (batch, 1)."""
        states = self.embedding(x) + self.positions
        attended, _ = self.attention(states, states, states, need_weights=True)
        states = self.norm1(states + attended)
        states = self.norm2(states + self.fc2(F.relu(self.fc1(states))))
        return self.out(states.mean(1))


class Gan(nn.Module):
    """The generator and discriminator of the GAN tutorials."""

    def __init__(self) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(0.2)
        hidden = [layer for a, b in pairwise((100, 256, 512, 1024)) for layer in (nn.Linear(a, b), leaky)]
        hidden_of_discriminator = [layer for a, b in pairwise((784, 512, 256)) for layer in (nn.Linear(a, b), leaky)]
        self.generator = nn.Sequential(*hidden, nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
        self.discriminator = nn.Sequential(nn.Flatten(), *hidden_of_discriminator, nn.Linear(256, 1), nn.Sigmoid())
