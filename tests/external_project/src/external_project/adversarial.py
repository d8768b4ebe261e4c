"""GAN with manual optimization and two optimizers; no validation, no test, no batch index."""

import lightning as L
import torch
from torch import nn
from torch.nn import functional as F


class PointGAN(L.LightningModule):
    """Generator and discriminator of flattened images."""

    def __init__(self, latent_dim: int = 4, lr: float = 0.002, b1: float = 0.5, b2: float = 0.999) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(latent_dim, 16), nn.ReLU(), nn.Linear(16, 64))
        self.discriminator = nn.Sequential(nn.Linear(64, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        self.example_input_array = torch.zeros(2, latent_dim)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.generator(z)

    def _loss(self, logits: torch.Tensor, value: float) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, value))

    def training_step(self, batch: list[torch.Tensor]) -> None:
        images = batch[0].flatten(1)
        optimizer_g, optimizer_d = self.optimizers()
        z = torch.randn(len(images), self.hparams.latent_dim).type_as(images)

        self.toggle_optimizer(optimizer_g)
        g_loss = self._loss(self.discriminator(self(z)), 1.0)
        self.log("g_loss", g_loss, prog_bar=True)
        self.manual_backward(g_loss)
        optimizer_g.step()
        optimizer_g.zero_grad()
        self.untoggle_optimizer(optimizer_g)

        self.toggle_optimizer(optimizer_d)
        real = self._loss(self.discriminator(images), 1.0)
        fake = self._loss(self.discriminator(self(z).detach()), 0.0)
        d_loss = (real + fake) / 2
        self.log("d_loss", d_loss, prog_bar=True)
        self.manual_backward(d_loss)
        optimizer_d.step()
        optimizer_d.zero_grad()
        self.untoggle_optimizer(optimizer_d)

    def on_train_epoch_end(self) -> None:
        image = self(self.example_input_array)[:1].view(1, 8, 8)
        for logger in self.loggers:
            logger.experiment.add_image("generated", image, self.current_epoch)

    def configure_optimizers(self) -> tuple[list, list]:
        betas = (self.hparams.b1, self.hparams.b2)
        networks = (self.generator, self.discriminator)
        return [torch.optim.Adam(net.parameters(), lr=self.hparams.lr, betas=betas) for net in networks], []
