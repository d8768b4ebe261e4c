"""The best config of every kind of sweep as an experiment: running it repeats the best run."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from trainer.reports.comparison import build_report

TINY = ["data=xor", "logger=none", "trainer.max_epochs=2"]
FILES = {
    "experiments/first.yaml": "defaults:\n  - override /data: xor\ntrainer: {max_epochs: 1}\nseed: 5\n",
    "experiments/second.yaml": "defaults:\n  - override /data: xor\n  - override /model: linear\ntags: [a]\n",
    "experiments/rates.yaml": (
        "defaults:\n  - override /data: xor\ntrainer: {max_epochs: 2}\noptimized_metric: val/loss\n"
        "sweep: {random_samples: 2, seeds: 2}\n"
        "hydra: {sweeper: {params: {optimizer.lr: 'tag(log,interval(0.001,0.1))'}}}\n"
    ),
    "conf/hparams_search/mine.yaml": (
        "# @package _global_\ndefaults:\n  - override /optimizer: mine\noptimized_metric: val/loss\n"
        "trainer: {max_epochs: 3}\nmodel: {net: {activation: tanh}}\nsweep: {n_trials: 3}\n"
        "hydra: {sweeper: {params: {optimizer.lr: 'interval(0,0.1)'}}}\n"
    ),
    "conf/optimizer/mine.yaml": "_target_: torch.optim.SGD\n_partial_: true\nlr: 0.2\nmomentum: 0.5\n",
}
KINDS = {
    "values and seeds": [*TINY, "optimizer.lr=0.1,0.2", "seed=3,4"],
    "models": [*TINY, "model=linear,mlp"],
    "optimizers, one of the user's": [*TINY, "optimizer=mine,adam", "seed=9"],
    "a zip": [*TINY, "model=mlp,linear", "optimizer.lr=0.1,0.2", "sweep.zip=[model,optimizer.lr]"],
    "grids": [*TINY, 'sweep.grids=["model=mlp model.net.hidden=[3],[4]","model=linear"]'],
    "axes and seeds in a file": ["experiment=rates"],
    "further seeds": [*TINY, "model.net.dropout=0,0.1", "sweep.seeds=2", "seed=7"],
    "a search whose file sets more": [*TINY[:2], "hparams_search=mine"],
    "keys that are added and removed": [*TINY, "+trainer.limit_train_batches=1,2", "~callbacks.prediction_images"],
    "values of a group": [*TINY, "data={batch_size:4},{batch_size:2}"],
    "lists of callbacks": [*TINY, "callbacks=[default,early_stopping],[default,gradient_clipping]"],
    "experiments": ["experiment=first,second", "seed=1,2"],
    "references": [*TINY, "seed=2", "optimizer.lr=${seed},0.3", "data.seed=4,5"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_best_config_of_every_kind_of_sweep_repeats_the_metrics_of_the_best_run(kind, command, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    outcome = command("-m", *KINDS[kind], "hydra.sweep.dir=s")
    assert outcome.code == 0, outcome.err
    best = build_report(Path("s")).best_run
    experiment = (tmp_path / "s/best.yaml").read_text()
    (tmp_path / "experiments/winner.yaml").write_text(experiment)
    [arguments] = [
        line.partition("then: trainer experiment=NAME")[2] for line in experiment.splitlines() if "then: " in line
    ]
    overrides = shlex.split(arguments)
    outcome_of_best = command("experiment=winner", *overrides, "hydra.run.dir=again")
    assert outcome_of_best.code == 0, outcome_of_best.err
    first, second = (json.loads((run / "result.json").read_text()) for run in (best.path, tmp_path / "again"))
    assert first["metrics"] == second["metrics"]
    assert first["fingerprint"] == second["fingerprint"]
    assert yaml.safe_load(experiment)
