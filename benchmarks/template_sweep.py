"""Sweep of the template, with the sweeper and launchers of Hydra and a small training for each job.

    python benchmarks/template_sweep.py -m job=FILE steps=145 seed=1,2,3 [hydra/launcher=joblib]

FILE is a pickled `jobs.Job`. The imports are those of the template's `train.py`.
"""

from copy import deepcopy
from pathlib import Path

import hydra
import pytorch_lightning as pl
import rich  # noqa: F401
import torch
import torchvision  # noqa: F401  imported by its datamodule
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from template import train

ConfigStore.instance().store("benchmark", {"job": "???", "steps": "???", "seed": 1, "patience": 100})


@hydra.main(config_path=None, config_name="benchmark", version_base="1.3")
def main(config):
    """Run one job."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    job = torch.load(config.job, weights_only=False)
    train(deepcopy(job), Path(HydraConfig.get().runtime.output_dir), config.steps, patience=config.patience)


if __name__ == "__main__":
    main()
