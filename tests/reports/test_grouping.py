"""Values of configs by which a report groups runs."""

import json

import pytest
import yaml

from trainer.artifacts.run_record import RunRecord
from trainer.reports.grouping import extract_configs, find_swept_keys


@pytest.mark.parametrize(
    ("overrides", "swept"),
    [
        (["data.target={}"], ["data.target"]),
        (["data.target={}", "+data.columns.zip=category"], ["data.target", "data.columns.price.kind"]),
    ],
)
def test_types_of_columns_distinguish_runs_only_if_an_override_sets_some(tmp_path, overrides, swept):
    for target, other in (("price", "size"), ("size", "price")):
        path = tmp_path / f"run_{target}"
        path.mkdir()
        columns = {other: {"kind": "number"}, "zip": {"kind": "category"}}
        config = {"seed": 1, "data": {"target": target, "columns": columns}}
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        starts = {"overrides": [override.format(target) for override in overrides], "directory": str(tmp_path)}
        (path / "provenance.json").write_text(json.dumps(starts))
        (path / "result.json").write_text(json.dumps({"state": "finished", "metrics": {}, "seconds": 1.0}))
    keys = find_swept_keys(extract_configs([RunRecord(path) for path in sorted(tmp_path.iterdir())]))
    assert [key for key in keys if key != "data.columns.size.kind"] == swept
