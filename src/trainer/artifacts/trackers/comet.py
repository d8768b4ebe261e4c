"""Logger of Comet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CometLogger
from pytorch_lightning.utilities import rank_zero_only

from trainer.artifacts.trackers.base import Tracker, TrackerRun


class ResumableCometLogger(Tracker, CometLogger):
    """CometLogger whose experiment is named after the run directory and continued by `trainer resume`.

    Args:
        save_dir: Run directory; its subdirectory `comet` contains the archives of offline experiments.
        project: Project that contains the experiment.
        workspace: Workspace. Defaults to that of the account.
        name: Name of the experiment. Defaults to the last parts of the run directory.
        tags: Tags of the experiment, in addition to the sweep.
        online: Whether to use a server. false: `comet upload` uploads the archive later.
    """

    tracker = "comet"
    offline_hint = "to store the experiment on this machine: logger.comet.online=false; to use an account: comet login"

    def __init__(
        self,
        save_dir: str,
        *,
        project: str = "trainer",
        workspace: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        online: bool = True,
    ) -> None:
        self._run = run = TrackerRun(Path(save_dir), self.tracker)
        with self.starting():  # the constructor of Lightning's logger starts the experiment
            super().__init__(
                workspace=workspace,
                project=project,
                experiment_key=run.id,
                online=online,
                name=name or run.name,
                tags=[*tags, *([run.group] if run.group else [])],
                offline_directory=str(Path(save_dir) / "comet"),
                display_summary_level=0,  # Comet's own summary repeats the config
            )

    def start(self) -> str:
        return str(self.lightning.experiment.get_key())

    def _create_experiment(self) -> None:
        import comet_ml

        self._comet_config = comet_ml.ExperimentConfig(**self._kwargs)  # that of Lightning 2.6 disables offline ones
        super()._create_experiment()

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Log PIL images."""
        for image in images:
            self._attempt(self.experiment.log_image, image, name=key, step=step)

    @rank_zero_only
    def log_table(self, key: str, columns: list[str], data: list[list[Any]], step: int | None = None) -> None:
        """Log the rows of a table as a CSV file, one for each step."""
        file = f"{key.replace('/', '_')}_step_{step or 0:08}.csv"
        self._attempt(self.experiment.log_table, file, data, headers=columns)
