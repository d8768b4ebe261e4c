"""Logger of Weights & Biases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning.loggers import WandbLogger

from trainer.artifacts.trackers.base import Tracker, TrackerRun


class ResumableWandbLogger(Tracker, WandbLogger):
    """WandbLogger whose run is named after the run directory, grouped by sweep and continued by `trainer resume`.

    Args:
        save_dir: Run directory; its subdirectory `wandb` contains the files of wandb.
        project: Project that contains the run.
        entity: User or team. Defaults to that of the account.
        name: Name of the run. Defaults to the last parts of the run directory.
        group: Group of the run. Defaults to the sweep.
        job_type: Type of the run within its group, e.g. `train`.
        tags: Tags of the run.
        notes: Description of the run.
        offline: Whether to store the run only on this machine; `wandb sync` uploads it later.
        log_model: Whether to upload checkpoints: at the end (true), or each one (all).
        settings: Further settings of `wandb.Settings` by name.
    """

    tracker = "wandb"
    offline_hint = "to store the run on this machine: logger.wandb.offline=true; to use an account: wandb login"

    def __init__(
        self,
        save_dir: str,
        *,
        project: str = "trainer",
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        offline: bool = False,
        log_model: bool | Literal["all"] = False,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self._run = TrackerRun(Path(save_dir), self.tracker)
        super().__init__(
            name=name or self._run.name,
            save_dir=save_dir,
            id=self._run.id,
            project=project,
            log_model=log_model,
            entity=entity,
            group=group or self._run.group,
            job_type=job_type,
            tags=[*tags],
            notes=notes,
            mode="offline" if offline else None,  # Lightning's `offline` would change the environment of later jobs
            settings=settings,
        )

    def start(self) -> str:
        return str(self.lightning.experiment.id)

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        self._attempt(super().log_image, key, images, step, **kwargs)

    def log_table(self, key: str, *args: Any, **kwargs: Any) -> None:
        self._attempt(super().log_table, key, *args, **kwargs)
