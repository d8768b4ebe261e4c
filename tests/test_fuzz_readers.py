"""Readers of run directories, checkpoints, ledgers and overrides raise nothing but errors of the user.

`FUZZ_EXAMPLES=20000 pytest tests/test_fuzz_readers.py` tries more examples than the default of 150.
"""

import contextlib
import copy
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.artifacts.hparams import collect_hparams
from trainer.artifacts.run_diff import diff_runs
from trainer.artifacts.run_record import RunRecord, read_run
from trainer.artifacts.stored_predictions import FILENAME
from trainer.cli.commands.runs import build_row, list_run
from trainer.core.errors import UserError
from trainer.inference.ensemble_members import find_candidates
from trainer.inference.load_checkpoint import load_checkpoint
from trainer.reports.comparison import build_report
from trainer.reports.paired_tests import compare_tests
from trainer.reports.render import render_html
from trainer.reports.run_page import build_run_page
from trainer.sweeps.preflight import check_overrides
from trainer.sweeps.search.pareto_front import format_best_trials, load_study
from trainer.sweeps.status_table import format_job_lines
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.trial_store import TrialLedger

pytestmark = pytest.mark.slow
RUN = ["data=xor", "model=linear", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "hydra.run.dir=runs/good"]
TEXT_FILES = ["result.json", "provenance.json", "config.yaml", ".hydra/hydra.yaml", ".hydra/config.yaml"]
OTHER_FILES = ["metrics.csv", FILENAME]
SEARCH = [*RUN[:-1], "optimizer.lr=interval(0.01,0.1)", "sweep.n_trials=2", "optimized_metric=val/loss"]
COLUMNS = """SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'"""
KEYS = ["seed", "data", "model.net", "trainer.max_epochs", "callbacks", "tags", "hydra.run.dir", "a.b", "sweep"]
fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "finished", "${a}", "${oc.env:HOME}", "../x", "/", "\x1b[31m", "[red]", "os.system", "🎉", "a=[", "="]
    ),
)
values = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return a directory that contains a run, a copy of it to be changed, and is the working directory."""
    directory = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "trainer", *RUN], cwd=directory, check=True, capture_output=True)
    with contextlib.chdir(directory):
        yield directory / "runs"


@pytest.fixture(scope="module")
def search(base):
    """Return the file of the ledger of a search with two trials."""
    command = [sys.executable, "-m", "trainer", "-m", *SEARCH, "hydra.sweep.dir=search"]
    subprocess.run(command, cwd=base.parent, check=True, capture_output=True)
    TrialLedger(base.parent / "search").report(0, epoch=1, value=0.5)
    return base.parent / "search/sweep.sqlite"


def replace_node(draw, content):
    """Return a copy of nested containers in which a random node is replaced, removed or added."""
    content = copy.deepcopy(content)
    node = content
    while True:
        keys = [*node] if isinstance(node, dict) else [*range(len(node))] if isinstance(node, list) else []
        if not keys:
            return draw(values)
        key = draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or draw(st.integers(0, 3)) == 0:
            break
        node = node[key]
    action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if action == "remove":
        del node[key]
    elif action == "add" and isinstance(node, dict):
        node[draw(st.text(max_size=8))] = draw(values)
    else:
        node[key] = draw(values)
    return content


@st.composite
def replaced(draw, content):
    """Return `replace_node` as a strategy."""
    return replace_node(draw, content)


def damage(draw, content):
    """Return bytes of which a random part is cut off, removed, flipped or inserted."""
    content = bytearray(content)
    at = draw(st.integers(0, max(0, len(content) - 1)))
    action = draw(st.sampled_from(["cut", "flip", "remove", "insert"]))
    if action == "cut":
        del content[at:]
    elif action == "flip" and content:
        content[at] ^= 1 << draw(st.integers(0, 7))
    elif action == "remove":
        del content[at : at + draw(st.integers(1, 50))]
    else:
        content[at:at] = draw(st.binary(max_size=20))
    return bytes(content)


def replace_array(draw, content):
    """Return the bytes of an archive of arrays in which an array is replaced or missing."""
    with np.load(io.BytesIO(content)) as archive:
        arrays = {**archive}
    name = draw(st.sampled_from([*arrays]))
    if draw(st.booleans()):
        shape = draw(st.lists(st.sampled_from([0, 1, 2, len(arrays["target"])]), max_size=3))
        dtype = draw(st.sampled_from(["f8", "f4", "i8", "i4", "u1", "?", "c8", "U3", "M8[s]"]))
        arrays[name] = np.full(shape, draw(st.integers(0, 300)), dtype="i8").astype(dtype)
    else:
        del arrays[name]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@fuzz
@given(st.data())
def test_run_directories(base, data):
    name = data.draw(st.sampled_from([*TEXT_FILES, *OTHER_FILES]))
    shutil.rmtree(base / "bad", ignore_errors=True)
    shutil.copytree(base / "good", base / "bad", ignore=shutil.ignore_patterns("checkpoints", "tensorboard"))
    file = base / "bad" / name
    original = (base / "good" / name).read_bytes()
    if name == FILENAME and data.draw(st.booleans()):
        file.write_bytes(replace_array(data.draw, original))
    elif name in OTHER_FILES or data.draw(st.booleans()):
        file.write_bytes(damage(data.draw, original))
    elif name.endswith("json"):
        file.write_text(json.dumps(replace_node(data.draw, json.loads(original))))
    else:
        file.write_text(yaml.safe_dump(replace_node(data.draw, yaml.safe_load(original))))
    record = RunRecord(base / "bad")
    good = RunRecord(base / "good")
    if name == FILENAME:
        with contextlib.suppress(UserError):
            compare_tests(good, record)
        return
    for read in (
        lambda: build_row(list_run(record, "")),
        lambda: collect_hparams(record),
        lambda: (record.overrides, record.code, record.choices, record.job, record.accepted_changes),
        lambda: diff_runs(good, record),
        lambda: record.read_metric_series(),
        lambda: render_html(build_run_page(read_run(str(record.path)))),
        lambda: build_report(base),
        lambda: find_candidates([base]),
    ):
        with contextlib.suppress(UserError):
            read()


@fuzz
@given(st.data())
def test_checkpoints(base, data):
    original = base / "good/checkpoints/last.ckpt"
    file = base / "bad.ckpt"
    if data.draw(st.booleans()):
        file.write_bytes(damage(data.draw, original.read_bytes()))
    else:
        content = torch.load(original, weights_only=True)
        key = data.draw(st.sampled_from(["config", "spec", "preprocessing", "metrics", "provenance", "state_dict"]))
        content[key] = replace_node(data.draw, content[key])
        torch.save(content, file)
    with contextlib.suppress(UserError):
        load_checkpoint(file)


@fuzz
@given(st.data())
def test_ledgers(base, search, data):
    sweep = base / "sweep"
    shutil.rmtree(sweep, ignore_errors=True)
    sweep.mkdir()
    file = shutil.copy(search, sweep)
    with sqlite3.connect(file) as database:
        columns = database.execute(COLUMNS).fetchall()
    table, column = data.draw(st.sampled_from(columns))
    numbers = st.integers(-(2**63), 2**63 - 1) | st.floats()
    cells = st.one_of(st.none(), numbers, st.text(max_size=20), st.binary(max_size=9))
    with contextlib.suppress(sqlite3.IntegrityError, UnicodeEncodeError), sqlite3.connect(file) as database:
        [(row, old)] = database.execute(f"SELECT rowid, {column} FROM {table} LIMIT 1").fetchall()
        is_json = isinstance(old, str) and old.startswith(("{", "["))
        new = st.builds(json.dumps, replaced(json.loads(old))) if is_json else values.map(json.dumps)
        database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (data.draw(cells | new), row))
    if data.draw(st.integers(0, 4)) == 0:
        Path(file).write_bytes(damage(data.draw, Path(file).read_bytes()))
    for read in (
        lambda: [*format_job_lines(Ledger(sweep).jobs())],
        lambda: [*format_best_trials(TrialLedger(sweep))],
        lambda: [command.is_own for command in Ledger(sweep).commands()],
        lambda: TrialLedger(sweep).settings(),
        lambda: TrialLedger(sweep).trials(),
        lambda: load_study(sweep),
    ):
        with contextlib.suppress(UserError):
            read()


words = st.one_of(
    st.text("abx=,.[]{}()'\"\\$:/@+~-0123456789 é🎉\t\n", max_size=25),
    st.builds(
        "{}{}={}".format,
        st.sampled_from(["", "+", "++", "~"]),
        st.sampled_from(KEYS),
        st.text("ab0.,[]{}'\"$:() -\\", max_size=12),
    ),
)


@fuzz
@given(st.lists(words, max_size=3))
def test_overrides(base, overrides):
    with contextlib.suppress(UserError, SystemExit), contextlib.redirect_stderr(io.StringIO()):
        check_overrides(["data=xor", "preflight.step=false", *overrides])
    assert Path.cwd() == base.parent
