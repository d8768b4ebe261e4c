"""Log directory for TensorBoard with links to the events of runs.

The names of the links contain the overrides of the runs. An additional event file lists hyperparameters and metrics for
the HParams tab: the runs themselves omit it (see `trainer.artifacts.tensorboard_summary`), and TensorBoard would then
show every metric of every class.
"""

import itertools
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from trainer.artifacts.hparams import Value, collect_hparams, find_differing_overrides
from trainer.artifacts.run_record import RunRecord, find_runs
from trainer.core.errors import UserError
from trainer.core.metric_name import MetricName, list_metrics, make_tensorboard_tag

MAX_NAME_BYTES = 200  # of a file name; file systems allow 255
NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|]')  # of Linux or Windows


class LogDirectory:
    """Links to the events of all runs below a directory.

    Args:
        directory: Directory of runs, or of a run.
        links: An empty directory for the links.
    """

    def __init__(self, directory: Path, links: Path) -> None:
        self.directory = directory
        self.links = links
        self.names: dict[Path, str] = {}  # of linked runs

    def link_new_runs(self) -> list[str]:
        """Link new runs and return the names of their links."""
        records = [record for record in find_runs(self.directory) if (record.path / "tensorboard").is_dir()]
        new = {}
        for record, overrides in zip(records, find_differing_overrides(records), strict=True):
            if record.path not in self.names:
                new[record.path] = self._name(record.path, overrides)
                _link(self.links / new[record.path], record.path / "tensorboard")
        self.names |= new
        return [*new.values()]

    def count_event_files(self) -> int:
        """Return the number of event files of the linked runs."""
        return sum(len([*(path / "tensorboard").rglob("events.out.tfevents.*")]) for path in self.names)

    def write_hparams(self) -> None:
        """Write the hyperparameters and metrics of the linked runs."""
        records = [RunRecord(path) for path in self.names]
        names = dict.fromkeys(name for record in records for name in record.metrics)
        metrics = list_metrics(names, "val", "test") or [name for name in names if not MetricName.parse(name).label]
        if not metrics:  # no finished run
            return
        hparams = [collect_hparams(record) for record in records]
        infos = [
            _build_hparam_info(key, [values[key] for values in hparams if key in values])
            for key in dict.fromkeys(itertools.chain(*hparams))
        ]
        results = [
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=make_tensorboard_tag(name)), display_name=name)
            for name in metrics
        ]
        data = HParamsPluginData(experiment=api_pb2.Experiment(hparam_infos=infos, metric_infos=results))
        value = Summary.Value(
            tag=metadata.EXPERIMENT_TAG,
            metadata=metadata.create_summary_metadata(data),
            tensor=metadata.NULL_TENSOR,
        )
        writer = EventFileWriter(str(self.links))
        writer.add_event(Event(wall_time=time.time(), summary=Summary(value=[value])))
        writer.close()

    def _name(self, path: Path, overrides: str) -> str:
        """Return the relative path of a run, followed by its overrides."""
        relative = path.relative_to(self.directory)
        max_bytes = MAX_NAME_BYTES - len(relative.name.encode())
        suffix = NOT_IN_FILE_NAMES.sub("_", overrides).encode()[:max_bytes].decode(errors="ignore")
        name = f"{relative.name or path.absolute().name} {suffix}".strip()
        return str(relative.parent / name)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(target.absolute(), target_is_directory=True)
    except OSError as error:
        hint = "Windows allows links in its Developer Mode; other file systems: set TMPDIR to another directory"
        raise UserError(f"tensorboard: cannot create the link '{link}': {error.strerror}\n  {hint}") from error


def _build_hparam_info(key: str, values: Sequence[Value]) -> Any:
    """Return type and domain of a hyperparameter, for the filters of the HParams tab."""
    distinct = sorted({*values}, key=lambda value: (isinstance(value, str), value))
    info = api_pb2.HParamInfo(name=key, differs=len(distinct) > 1)
    if all(isinstance(value, bool) for value in values):
        info.type = api_pb2.DATA_TYPE_BOOL
        info.domain_discrete.extend(distinct)
    elif all(isinstance(value, int | float) for value in values):
        info.type = api_pb2.DATA_TYPE_FLOAT64
        info.domain_interval.min_value = float(distinct[0])
        info.domain_interval.max_value = float(distinct[-1])
    else:
        info.type = api_pb2.DATA_TYPE_STRING
        info.domain_discrete.extend(dict.fromkeys(str(value) for value in distinct))
    return info
