"""The experiment `best.yaml` of a sweep repeats the numbers of the best run."""

import json
import shutil

import pytest

from trainer.sweeps.store.job_store import Ledger

XOR = ["data=xor", "trainer.max_epochs=1", "logger=none"]
RATES = "optimizer.lr=0.001,0.03,0.01"
SPACE = ["optimizer.lr=tag(log,interval(0.001,0.1))", "model=mlp,linear"]
CALLBACK = '''
from pytorch_lightning import Callback

class Note(Callback):
    """Changes the rate by the length of a text, so that each character of it counts."""
    def __init__(self, text, numbers=()):
        self.factor = len(text) + sum(numbers)
    def on_train_start(self, trainer, pl_module):
        for group in trainer.optimizers[0].param_groups:
            group["lr"] *= self.factor
'''
NOTE = "+callbacks.note._target_=notes.Note"

# overrides of each kind of sweep
KINDS = {
    "numbers": [*XOR, RATES],
    "models": [*XOR, "model=linear,mlp", "seed=1,2"],
    "data": ["data=line,xor,threshold", "trainer.max_epochs=1", "logger=none"],
    "experiments": ["experiment=line_linear,xor_mlp", "trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1"],
    "own experiments": ["experiment=low,high", "trainer.max_epochs=1"],
    "seeds": [*XOR, RATES, "seed=5", "sweep.seeds=3"],
    "seeds alone": [*XOR, "seed=3,4,5"],
    "zip": [*XOR, "model=linear,mlp", "optimizer.lr=0.01,0.02", "sweep.zip=[model,optimizer.lr]"],
    "grids": [*XOR, 'sweep.grids=["model=mlp model.net.hidden=[4],[5,5]","model=linear optimizer=sgd,adam"]'],
    "samples": [*XOR, *SPACE, "sweep.random_samples=4"],
    "search": [*XOR, *SPACE, "sweep.n_trials=4", "optimized_metric=val/loss"],
    "search from a file": ["experiment=xor_mlp", "hparams_search=short", "logger=none"],
    "workers": [*XOR, "model=linear,mlp", "seed=1,2", "sweep.workers=2", "sweep.fuse=false"],
    "lists": [*XOR, "model.net.hidden=[4],[4,8]", "optimizer.betas=[0.8,0.9],[0.9,0.99]", "tags=[a,'b, c']"],
    "choices of callbacks": [*XOR, "callbacks=none,[default,early_stopping]", RATES],
    "quotes": [*XOR, NOTE, "+callbacks.note.text='a, b','1e-3',\"it's\",'${oc.env:HOME}'", "task_name='a b=c'"],
    "nodes": [*XOR, "+callbacks.note={_target_:notes.Note,text:a,numbers:[1,2]},{_target_:notes.Note,text:abc}"],
    "references": [*XOR, RATES, "optimizer.betas=['${optimizer.lr}',0.99]"],
    "elements": [*XOR, "model.net.hidden=[4,4]", "model.net.hidden.1=3,5"],
    "debug": [*XOR[::2], "debug=limit", "trainer.max_epochs=1", RATES],
    "data seed": [*XOR, "data.seed=7", RATES],
}


def prepare(directory):
    """Write the files that the sweeps refer to."""
    (directory / "notes.py").write_text(CALLBACK)
    (directory / "experiments").mkdir()
    for name, rate in {"low": 0.001, "high": 0.05}.items():
        text = f"defaults:\n  - override /data: xor\noptimizer:\n  lr: {rate}\nseed: {len(name)}\n"
        (directory / f"experiments/{name}.yaml").write_text(text)
    (directory / "conf/hparams_search").mkdir(parents=True)
    (directory / "conf/hparams_search/short.yaml").write_text(
        "# @package _global_\noptimized_metric: val/loss_best\ntrainer:\n  max_epochs: 2\nsweep:\n  n_trials: 3\n"
        "  pruner: median\nhydra:\n  sweeper:\n    params:\n      optimizer.lr: tag(log, interval(0.001, 1))\n"
    )


def repeat_best(command, directory, sweep):
    """Launch the best config of a sweep; return its result and the results of the jobs."""
    shutil.copy(sweep / "best.yaml", directory / "experiments/winner.yaml")
    outcome = command("experiment=winner", "hydra.run.dir=again")
    assert outcome.code == 0, outcome.err + (sweep / "best.yaml").read_text()
    return json.loads((directory / "again/result.json").read_text()), [job.result for job in Ledger(sweep).jobs()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_best_experiment_of_each_kind_of_sweep_repeats_its_best_run(kind, command, tmp_path):
    prepare(tmp_path)
    outcome = command("-m", *KINDS[kind])
    assert outcome.code == 0, outcome.err
    [ledger] = tmp_path.glob("outputs/*/*/sweep.sqlite")
    result, results = repeat_best(command, tmp_path, ledger.parent)
    best = min(results, key=lambda result: result["metrics"]["val/loss"])
    assert len(results) > 1
    assert result["metrics"] == best["metrics"]
    assert result["fingerprint"] == best["fingerprint"]


@pytest.mark.slow
def test_the_best_experiment_of_a_search_is_no_search_and_can_be_swept_with_others(command, tmp_path):
    prepare(tmp_path)
    assert command("-m", *KINDS["search from a file"], "hydra.sweep.dir=s").code == 0
    shutil.copy(tmp_path / "s/best.yaml", tmp_path / "experiments/winner.yaml")
    plan = command("-m", "experiment=xor_mlp,winner", "seed=1,2", "--plan")
    assert plan.code == 0, plan.err
    assert "4 jobs, 4 to run" in plan.out
