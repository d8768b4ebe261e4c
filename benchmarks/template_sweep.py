"""A sweep as the template's users run it: Hydra's own sweeper and launchers over one small training each.

    python benchmarks/template_sweep.py -m job=FILE steps=145 seed=1,2,3 [hydra/launcher=joblib]

FILE is a piece of work that `peak.save` has written. What the template's `train.py` imports, this does.
"""

from copy import deepcopy
from pathlib import Path

import hydra
import pytorch_lightning as pl
import rich  # noqa: F401
import torch
import torchvision  # noqa: F401  its datamodule
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from template import train

ConfigStore.instance().store("work", {"job": "???", "steps": "???", "seed": 1})


@hydra.main(config_path=None, config_name="work", version_base="1.3")
def main(config):
    """One job."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    job = torch.load(config.job, weights_only=False)
    train(deepcopy(job), Path(HydraConfig.get().runtime.output_dir), config.steps)


if __name__ == "__main__":
    main()
