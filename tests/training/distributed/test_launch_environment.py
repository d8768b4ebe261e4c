"""Runs in processes that torchrun, Slurm or the user has started."""

import json
import os
import subprocess
import sys
import time
from socket import socket

import pytest

XOR = ["experiment=xor_mlp", "trainer.max_epochs=1", "callbacks=[checkpoint]", "logger=none"]
DDP = [*XOR, "trainer=ddp_sim"]
ONE_TASK = {
    "SLURM_JOB_ID": "5",
    "SLURM_JOB_NAME": "x",
    "SLURM_NTASKS": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")


@pytest.fixture
def set_variables(monkeypatch):
    """Return a function that sets the environment variables of a launcher."""

    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


def free_port():
    with socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_two_devices_in_a_slurm_job_of_one_task_are_refused_and_not_trained_on_one(set_variables, command):
    set_variables(ONE_TASK)
    outcome = command(*DDP, "hydra.run.dir=run")
    assert outcome.code == 1
    assert (
        "error: trainer.devices: 2 device(s) on 1 node(s) need 2 process(es), and Slurm has started 1; "
        "expected the same number\n  srun --nodes=1 --ntasks-per-node=2 trainer ..."
    ) in outcome.err
    assert json.loads((outcome.directory / "run/result.json").read_text())["state"] == "failed"
    assert not (outcome.directory / "run/checkpoints").exists()


def test_two_devices_under_torchrun_with_one_process_are_refused(set_variables, command):
    set_variables(TORCHRUN | {"WORLD_SIZE": "1"})
    outcome = command(*DDP)
    assert outcome.code == 1
    assert "need 2 process(es), and torchrun has started 1; expected the same number" in outcome.err
    assert "torchrun --nnodes=1 --nproc-per-node=2 -m trainer ..." in outcome.err


def test_tasks_that_lightning_rejects_are_reported_with_its_message(set_variables, command):
    set_variables(ONE_TASK | {"SLURM_NTASKS": "2"})
    outcome = command(*DDP)
    assert outcome.code == 1
    assert "You set `--ntasks=2` in your SLURM bash script, but this variable is not supported." in outcome.err
    assert "HINT: Use `--ntasks-per-node=2` instead." in outcome.err
    assert "Error in call to target" not in outcome.err


@pytest.mark.slow
def test_a_run_of_one_process_in_a_slurm_job_of_several_tasks_is_an_ordinary_run(set_variables, command):
    set_variables(ONE_TASK | {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4"})  # as in the script that sbatch runs
    outcome = command("data=xor", "trainer.max_epochs=1", "callbacks=none", "logger=none", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    assert json.loads((outcome.directory / "run/result.json").read_text())["state"] == "finished"


def test_tasks_that_do_not_connect_are_reported_after_a_timeout(set_variables, command, monkeypatch):
    from trainer.training.distributed import rendezvous

    monkeypatch.setattr(rendezvous, "CONNECT_SECONDS_WITHOUT_SRUN", 1.0)
    rendezvous.rendezvous.cache_clear()
    set_variables(ONE_TASK | {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NODELIST": "127.0.0.1"})
    set_variables({"MASTER_PORT": str(free_port())})
    outcome = command(*DDP)
    rendezvous.rendezvous.cache_clear()
    assert outcome.code == 1
    assert "trainer.devices: 1 of 2 processes connected within 1 s; started without srun? expected: srun" in outcome.err


def test_a_process_without_an_address_of_the_others_is_refused(set_variables, command):
    set_variables({"LOCAL_RANK": "1"})
    outcome = command(*DDP)
    assert outcome.code == 1
    assert "error: MASTER_ADDR, MASTER_PORT: not set; expected both in each process of a run" in outcome.err
    assert not (outcome.directory / "outputs").exists()


def torchrun(directory, *arguments, processes=2):
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    return subprocess.run([*command, *arguments], cwd=directory, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_processes_of_torchrun_use_the_same_directory(tmp_path):
    answer = torchrun(tmp_path, "-m", "trainer", *DDP)
    assert answer.returncode == 0, answer.stderr
    [run] = tmp_path.glob("outputs/*/*")
    result = json.loads((run / "result.json").read_text())
    # 6400 examples per epoch, divided among two processes, 64 per step
    assert (result["state"], result["steps"]) == ("finished", 50)
    assert "trainable parameters, on 2 x cpu" in answer.stdout


def start(variables, *overrides, directory):
    """Start a process of a run manually."""
    with (directory / f"output-{variables.get('SLURM_PROCID', variables.get('NODE_RANK'))}").open("w") as output:
        command = [sys.executable, "-m", "trainer", *overrides]
        environment = {**os.environ, **variables}
        return subprocess.Popen(command, cwd=directory, env=environment, stdout=output, stderr=output)


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1])
def test_tasks_of_srun_use_the_same_directory_in_any_order_of_start(first, tmp_path):
    shared = ONE_TASK | {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_ID": "0"}
    shared |= {"SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": str(free_port())}
    tasks = []
    for rank in (first, 1 - first):
        tasks.append(start(shared | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}, *DDP, directory=tmp_path))
        time.sleep(5)
    assert [task.wait(200) for task in tasks] == [0, 0]
    [run] = tmp_path.glob("outputs/*/*")
    assert json.loads((run / "result.json").read_text())["steps"] == 50


@pytest.mark.slow
def test_two_nodes_train_on_all_their_processes(tmp_path):
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    nodes = [start(shared | {"NODE_RANK": str(n)}, *DDP, "+trainer.num_nodes=2", directory=tmp_path) for n in (1, 0)]
    assert [node.wait(300) for node in nodes] == [0, 0]
    assert "trainable parameters, on 4 x cpu" in (tmp_path / "output-0").read_text()
    [run] = tmp_path.glob("outputs/*/*")
    assert json.loads((run / "result.json").read_text())["steps"] == 25


@pytest.mark.slow
def test_a_run_under_torchrun_is_resumed(tmp_path):
    for _ in range(2):  # the second one is finished already
        answer = torchrun(tmp_path, "-m", "trainer", *DDP, "hydra.run.dir=run", "resume=auto")
        assert answer.returncode == 0, answer.stderr
        assert json.loads((tmp_path / "run/result.json").read_text())["steps"] == 50
    answer = torchrun(tmp_path, "-m", "trainer", "resume", "run", "trainer.max_epochs=2")
    assert answer.returncode == 0, answer.stderr
    assert json.loads((tmp_path / "run/result.json").read_text())["steps"] == 100


@pytest.mark.slow
def test_errors_under_torchrun_stop_all_processes(tmp_path):
    cases = {
        "1 device(s) on 1 node(s) need 1 process(es), and torchrun has started 2": XOR,
        "--multirun: 2 processes were started for a sweep; expected one": ["-m", *DDP, "seed=1,2"],
        "seed: Value 'x' of type 'str' could not be converted to Integer": [*DDP, "seed=x"],
    }
    for message, arguments in cases.items():
        answer = torchrun(tmp_path, "-m", "trainer", *arguments)
        assert answer.returncode == 1
        assert answer.stderr.count(message) == 1


@pytest.mark.slow
def test_a_script_under_torchrun_trains_twice_and_each_process_gets_the_results(tmp_path):
    (tmp_path / "script.py").write_text(
        "import trainer\n"
        "for seed in (1, 2):\n"
        f"    run = trainer.train(*{DDP}, f'seed={{seed}}')\n"
        "    print('seed', seed, run.metrics['test/loss'], run.checkpoint, flush=True)\n"
    )
    answer = torchrun(tmp_path, "script.py")
    assert answer.returncode == 0, answer.stderr
    lines = [line for line in answer.stdout.splitlines() if line.startswith("seed ")]
    assert len(lines) == 4
    assert len({*lines}) == 2
    assert len([*tmp_path.glob("outputs/*/*/result.json")]) == 2
