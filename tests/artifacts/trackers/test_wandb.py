"""Runs of Weights & Biases that are stored offline."""

import json
import struct

import pytest

from trainer.artifacts.trackers.base import TrackerRun

pytestmark = pytest.mark.slow
BLOCK_BYTES = 32768
HEADER = struct.Struct("<IHB")  # checksum, length, type
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read_records(file):
    """Return the protobuf records of a `.wandb` file: blocks with fragments of records, as in LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = file.read_bytes()
    assert content[:4] == b":W&B"
    position = HEADER.size
    records = []
    fragments = b""
    while position + HEADER.size <= len(content):
        if BLOCK_BYTES - position % BLOCK_BYTES < HEADER.size:  # padding
            position += BLOCK_BYTES - position % BLOCK_BYTES
            continue
        _, length, kind = HEADER.unpack_from(content, position)
        fragments += content[position + HEADER.size : position + HEADER.size + length]
        position += HEADER.size + length
        if kind in (FULL, LAST):
            records.append(Record.FromString(fragments))
            fragments = b""
    return records


class OfflineRun:
    """Run in a `.wandb` file.

    Args:
        file: The file.
    """

    def __init__(self, file):
        records = read_records(file)
        self.run = next(record.run for record in records if record.WhichOneof("record_type") == "run")
        self.rows = [_decode(record.history.item) for record in records if record.HasField("history")]
        updates = [*self.run.config.update]
        for record in records:
            updates += record.config.update if record.HasField("config") else ()
        self.config = _decode(updates)
        self.exit_codes = [record.exit.exit_code for record in records if record.HasField("exit")]

    def read_series(self, name):
        """Return step and value of each row with a metric."""
        return [(row["trainer/global_step"], row[name]) for row in self.rows if name in row]


def _decode(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_a_sweep_stores_a_run_for_each_job_and_a_resumed_job_continues_its_run(run_sweep):
    pytest.importorskip("wandb", reason="wandb is not installed")
    directory = run_sweep("logger=[csv,wandb]", "logger.wandb.offline=true", "tags=[mine]")
    files = [sorted(directory.glob(f"s/{job}/wandb/offline-run-*/*.wandb")) for job in (0, 1)]
    (first, resumed), (second,) = [[*map(OfflineRun, paths)] for paths in files]
    assert [run.run.run_id for run in (first, resumed, second)] == [
        TrackerRun(directory / f"s/{job}", "wandb").id for job in (0, 0, 1)
    ]
    assert first.run.run_id != second.run.run_id
    assert first.run.display_name == f"{directory.name}/s/0"
    assert first.run.run_group == second.run.run_group == f"{directory.name}/s"
    assert (first.run.project, [*first.run.tags]) == ("trainer", ["mine"])
    assert [run.config["hparams"] for run in (first, second)] == [{"optimizer.lr": 0.1}, {"optimizer.lr": 0.01}]
    assert first.config["data"]["_target_"] == "trainer.data.digits.Digits"
    assert [run.exit_codes for run in (first, resumed, second)] == [[0], [0], [0]]
    assert [step for step, _ in first.read_series("train/loss")] == [9, 19]
    assert [step for step, _ in resumed.read_series("train/loss")] == [29, 39]
    for run in (first, second):
        for name in ("test/accuracy", "val/loss_best", "test/predictions/filenames"):
            assert [step for step, _ in run.read_series(name)] == [20], name
        assert run.read_series("test/classification_report/_type") == [(20, "table-file")]


def test_several_processes_have_one_run(process):
    pytest.importorskip("wandb", reason="wandb is not installed")
    overrides = ("data=digits", "model=linear", "trainer=ddp_sim", "trainer.max_epochs=1", "hydra.run.dir=run")
    done = process(*overrides, "logger=[csv,wandb]", "logger.wandb.offline=true")
    assert done.code == 0, done.err
    assert "Traceback" not in done.out + done.err
    [file] = done.directory.glob("run/wandb/offline-run-*/*.wandb")
    assert [step for step, _ in OfflineRun(file).read_series("test/accuracy")] == [10]


def test_without_an_account_the_error_names_the_offline_mode(process, tmp_path):
    pytest.importorskip("wandb", reason="wandb is not installed")
    environment = {"WANDB_API_KEY": "", "HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}
    done = process("data=xor", "logger=wandb", **environment)
    assert done.code == 1
    assert "logger=wandb: cannot start a run: No API key configured" in done.err
    assert "logger.wandb.offline=true" in done.err
    assert "Traceback" not in done.err
