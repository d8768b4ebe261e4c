"""A folder for TensorBoard: a link to the events of each run, under a name that tells what was changed in it.

Links cost nothing, and 500 of them are found as fast as 500 folders. Beside them lies one file of events with the list
of settings and metrics for the tab HParams: the runs themselves leave it out (`trainer.artifacts.tensorboard_summary`),
and TensorBoard would then show every number of every class.
"""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from trainer.artifacts.hparams import Value, changed_words, settings, told_metrics
from trainer.artifacts.run_record import Record, records

LONGEST = 200  # bytes of a file name; file systems take 255


class LogDirectory:
    """Links to the events of all runs below a folder.

    Args:
        folder: Of runs, or a run.
        links: An empty folder, for the links.
    """

    def __init__(self, folder: Path, links: Path) -> None:
        self.folder, self.links = folder, links
        self.names: dict[Path, str] = {}  # of the runs that are linked

    def look(self) -> list[str]:
        """Link the runs that are new.

        Returns:
            list: Their names.
        """
        found = [record for record in records(self.folder) if (record.path / "tensorboard").is_dir()]
        new = {}
        for record, changed in zip(found, changed_words(found), strict=True):
            if record.path not in self.names:
                new[record.path] = self._name(record.path, changed)
                link = self.links / new[record.path]
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((record.path / "tensorboard").absolute(), target_is_directory=True)
        self.names |= new
        return [*new.values()]

    def describe(self) -> None:
        """Write the list of settings and metrics of the runs that are linked."""
        found = [Record(path) for path in self.names]
        names = dict.fromkeys(name for record in found for name in record.metrics)
        metrics = told_metrics([*names]) or [name for name in names if name.count("/") < 2]
        if not metrics:  # no run is over
            return
        chosen = [settings(record) for record in found]
        infos = [
            _info(key, [each[key] for each in chosen if key in each]) for key in dict.fromkeys(itertools.chain(*chosen))
        ]
        results = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics]
        data = HParamsPluginData(experiment=api_pb2.Experiment(hparam_infos=infos, metric_infos=results))
        value = Summary.Value(
            tag=metadata.EXPERIMENT_TAG,
            metadata=metadata.create_summary_metadata(data),
            tensor=metadata.NULL_TENSOR,
        )
        writer = EventFileWriter(str(self.links))
        writer.add_event(Event(wall_time=time.time(), summary=Summary(value=[value])))
        writer.close()

    def _name(self, path: Path, changed: str) -> str:
        """The place of a run below the folder, and behind it what was changed."""
        place = path.relative_to(self.folder)
        words = changed.replace("/", "_").encode()[: LONGEST - len(place.name.encode())].decode(errors="ignore")
        named = place.name or path.absolute().name
        return str(place.with_name(f"{named} {words}".strip()) if place.name else Path(f"{named} {words}".strip()))


def _info(key: str, values: Sequence[Value]) -> Any:
    """What kind of values a setting has, and which: what HParams offers to filter by."""
    distinct = sorted({*values}, key=lambda value: (isinstance(value, str), value))
    info = api_pb2.HParamInfo(name=key, differs=len(distinct) > 1)
    if all(isinstance(value, bool) for value in values):
        info.type = api_pb2.DATA_TYPE_BOOL
        info.domain_discrete.extend(distinct)
    elif all(isinstance(value, int | float) for value in values):
        info.type = api_pb2.DATA_TYPE_FLOAT64
        info.domain_interval.min_value, info.domain_interval.max_value = float(distinct[0]), float(distinct[-1])
    else:
        info.type = api_pb2.DATA_TYPE_STRING
        info.domain_discrete.extend(dict.fromkeys(str(value) for value in distinct))
    return info
