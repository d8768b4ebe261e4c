"""Runs on several processes: one result, no example twice, and nothing left over for the next job."""

import json

import pytest

DDP = ["data=digits", "model=mlp", "trainer=ddp_sim", "data.batch_size=32", "trainer.max_epochs=2"]


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")


@pytest.mark.slow
def test_two_processes_train_one_network_into_one_directory(process):
    outcome = process(*DDP, MASTER_ADDR="127.0.0.1")
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    result = json.loads((run / "result.json").read_text())
    # 1257 training digits, shared by two processes, 32 each a step
    assert result["steps"] == 2 * -(-629 // 32)
    assert result["metrics"]["test/accuracy"] > 0.7
    assert len(list(outcome.directory.glob("outputs/*/*"))) == 1
    # a share of 360 test digits, so none was counted twice to even the processes out
    right = result["metrics"]["test/accuracy"] * 360
    assert right == pytest.approx(round(right), abs=1e-3)


@pytest.mark.slow
def test_each_job_of_a_sweep_may_use_several_processes(process):
    outcome = process("-m", *DDP, "seed=1,2", MASTER_ADDR="127.0.0.1")
    assert outcome.code == 0, outcome.err
    assert [json.loads((run / "result.json").read_text())["state"] for run in outcome.runs] == ["finished"] * 2
    assert [json.loads((run / "result.json").read_text())["seed"] for run in outcome.runs] == [1, 2]


@pytest.mark.slow
def test_jobs_of_a_sweep_run_side_by_side_with_joblib_and_arrive_at_the_same_numbers(process, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    jobs = ["-m", "experiment=xor_mlp", "trainer.max_epochs=20", "seed=1,2"]
    found = []
    for name, more in {"serial": [], "side": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]}.items():
        (tmp_path / name).mkdir()
        outcome = process(*jobs, *more, cwd=tmp_path / name)
        assert outcome.code == 0, outcome.err
        results = [json.loads((run / "result.json").read_text()) for run in sorted(outcome.runs)]
        found.append([(result["seed"], result["metrics"]) for result in results])
    assert [seed for seed, _ in found[0]] == [1, 2]
    assert found[0] == found[1]
