"""The tutorials' scripts: a DataLoader over single examples, each transformed by itself, and `.item()` at every step.

The nets are written as the tutorials write them. As their scripts do after an epoch, each of these judges held-out
examples; they save nothing and log nothing.
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


def train(job: Job, folder: Path) -> tuple[int, float]:
    """Train on the job's steps, then judge as many examples as ours: steps and seconds."""
    name, arguments = job.optimizer
    net = net_of(job)
    made = [getattr(torch.optim, name)(part.parameters(), **arguments) for part in _parts(net)]
    training = DataLoader(dataset_of(job, train=True), job.batch, shuffle=True)
    validation = DataLoader(dataset_of(job, train=False), 1000)
    step = adversarial_step if isinstance(net, Pair) else supervised_step
    done, began = 0, time.perf_counter()
    for _ in range(job.epochs):
        net.train()
        running_loss = 0.0
        for place, (inputs, targets) in enumerate(training):
            if place == job.steps:
                break
            running_loss += step(net, made, inputs, targets)
            done += 1
        judge(net, validation)
    return done, time.perf_counter() - began


def supervised_step(net, optimizers, inputs, targets) -> float:
    """One step on one loss."""
    optimizers[0].zero_grad()
    loss = loss_of(net(inputs), targets)
    loss.backward()
    optimizers[0].step()
    return loss.item()


def adversarial_step(net, optimizers, images, targets) -> float:
    """One step of the discriminator, then one of the generator."""
    real, fake = torch.ones(len(images), 1), torch.zeros(len(images), 1)
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


def judge(net, loader) -> float:
    """Loss and right answers over all held-out examples, as the scripts print them."""
    net.eval()
    loss, right, rows = 0.0, 0, 0
    with torch.no_grad():
        for inputs, targets in loader:
            if isinstance(net, Pair):
                fakes = net.generator(torch.randn(len(inputs), 100))
                right += (net.discriminator(inputs) > net.discriminator(fakes)).sum().item()
            else:
                outputs = net(inputs)
                loss += loss_of(outputs, targets).item() * len(targets)
                said = outputs.flatten() > 0 if outputs.shape[1] == 1 else outputs.argmax(1)
                right += (said == targets).sum().item()
            rows += len(targets)
    return right / rows


def loss_of(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy, of two classes on one logit."""
    if outputs.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(outputs, targets.float()[:, None])
    return F.cross_entropy(outputs, targets)


def dataset_of(job: Job, *, train: bool) -> Dataset:
    """Pictures as torchvision reads them, as many as ours has; reviews as rows padded to the longest length allowed."""
    part = job.train if train else job.val
    if job.data not in ("mnist", "cifar10"):
        return TensorDataset(part[0].long(), part[1])
    from torchvision import datasets, transforms

    mean, deviation = (0.5, 0.5) if job.adversarial else (number.flatten() / 255 for number in job.pixels)
    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, deviation)])
    kind = datasets.MNIST if job.data == "mnist" else datasets.CIFAR10
    everything = kind(os.environ.get("TRAINER_DATA_DIR", "data"), train=train, transform=change)
    return Subset(everything, range(len(part[1])))


def net_of(job: Job) -> nn.Module:
    """The net that the tutorial on these data has."""
    if job.adversarial:
        return Pair()
    if job.data == "imdb":
        return Attention(job.net) if hasattr(job.net, "blocks") else Reviewer()
    return MnistNet() if job.data == "mnist" else CifarNet()


def _parts(net) -> list[nn.Module]:
    return [net.generator, net.discriminator] if isinstance(net, Pair) else [net]


class MnistNet(nn.Module):
    """Two convolutions of 32 and 64 channels and 128 hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1, self.fc2 = nn.Linear(64 * 7 * 7, 128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, 28, 28) -> (batch, 10)."""
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc2(F.relu(self.fc1(x.view(-1, 64 * 7 * 7))))


class CifarNet(nn.Module):
    """LeNet with 6 and 16 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.pool = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2, 2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 32, 32) -> (batch, 10)."""
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))))


class Reviewer(nn.Module):
    """Vectors of 128, two LSTM layers of 64, the last state, a dense layer of 64."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10000, 128)
        self.lstm = nn.LSTM(128, 64, num_layers=2, batch_first=True)
        self.fc1, self.fc2 = nn.Linear(64, 64), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, words) -> (batch, 1)."""
        states, _ = self.lstm(self.embedding(x))
        return self.fc2(F.relu(self.fc1(states[:, -1])))


class Attention(nn.Module):
    """One block of self-attention, whose weights are made whether they are looked at or not, and the mean of words."""

    def __init__(self, like: nn.Module) -> None:
        super().__init__()
        block = like.blocks[0]
        width, inner = block.attention.output.in_features, block.dense[0].out_features
        self.embedding = nn.Embedding(10000, width)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 500, width))
        self.attention = nn.MultiheadAttention(width, block.attention.heads, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2, self.out = nn.Linear(width, inner), nn.Linear(inner, width), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, words) -> (batch, 1)."""
        states = self.embedding(x) + self.positions
        attended, _ = self.attention(states, states, states, need_weights=True)
        states = self.norm1(states + attended)
        states = self.norm2(states + self.fc2(F.relu(self.fc1(states))))
        return self.out(states.mean(1))


class Pair(nn.Module):
    """The GAN tutorials' generator and discriminator."""

    def __init__(self) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(0.2)
        up, down = (100, 256, 512, 1024), (784, 512, 256)
        rising = [layer for a, b in pairwise(up) for layer in (nn.Linear(a, b), leaky)]
        falling = [layer for a, b in pairwise(down) for layer in (nn.Linear(a, b), leaky)]
        self.generator = nn.Sequential(*rising, nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
        self.discriminator = nn.Sequential(nn.Flatten(), *falling, nn.Linear(256, 1), nn.Sigmoid())
