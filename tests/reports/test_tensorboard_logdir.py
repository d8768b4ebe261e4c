"""`trainer tensorboard`: names of runs, hyperparameters, access, and 500 runs."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from torch.utils.tensorboard import SummaryWriter

from trainer.reports.tensorboard_logdir import LogDirectory


def fetch_json(url, query_data=None):
    data = None if query_data is None else json.dumps(query_data).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


@pytest.mark.slow  # a process that imports TensorBoard and reads its files in its own time
def test_tensorboard_lists_each_run_once_with_the_keys_of_all_runs(command):
    assert command("-m", "data=xor", "trainer.max_epochs=2", "optimizer.lr=0.1,0.01", "hydra.sweep.dir=o/a").code == 0
    assert command("data=xor", "trainer.max_epochs=2", "model.net.activation=relu", "hydra.run.dir=o/b").code == 0
    program = [sys.executable, "-m", "trainer", "tensorboard", "o", "--port=0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=command("runs").directory) as board:
        try:
            line = board.stdout.readline()
            url = line.split()[0]
            assert url.startswith("http://localhost:"), line
            assert "3 run(s) in o" in line
            for _ in range(60):
                names = [name for name in fetch_json(f"{url}data/runs") if name != "."]
                experiment = fetch_json(f"{url}data/plugin/hparams/experiment", {})
                if len(names) == 3 and experiment.get("hparamInfos"):
                    break
            assert names == ["a/0 optimizer.lr=0.1", "a/1 optimizer.lr=0.01", "b model.net.activation=relu"]
            keys = [info["name"] for info in experiment["hparamInfos"]]
            assert {*keys} == {"optimizer.lr", "data", "trainer.max_epochs", "model.net.activation"}
            metrics = [info["displayName"] for info in experiment["metricInfos"]]
            assert {"val/loss", "val/loss_best", "test/loss"} <= {*metrics}
            assert all(name.startswith(("val/", "test/")) for name in metrics)
            query = {"colParams": [{"hparam": key} for key in keys], "startIndex": 0, "sliceSize": 10}
            query["allowedStatuses"] = ["STATUS_SUCCESS", "STATUS_UNKNOWN"]
            groups = fetch_json(f"{url}data/plugin/hparams/session_groups", query)["sessionGroups"]
            assert [group["hparams"] for group in groups][:2] == [{"optimizer.lr": 0.1}, {"optimizer.lr": 0.01}]
        finally:
            board.send_signal(signal.SIGINT)
        assert board.wait(30) == 0


def test_five_hundred_runs_are_linked_and_new_ones_are_added(tmp_path):
    def make(number):
        run = tmp_path / f"outputs/s/{number}"
        (run / "tensorboard").mkdir(parents=True)
        (run / "config.yaml").write_text(f"seed: {number}\n")
        (run / "provenance.json").write_text(json.dumps({"overrides": ["data=xor", f"seed={number}", "x=a/b" * 99]}))

    for number in range(500):
        make(number)
    links = tmp_path / "links"
    links.mkdir()
    board = LogDirectory(tmp_path / "outputs", links)
    names = board.link_new_runs()
    assert len(names) == 500
    assert names[7] == "s/7 seed=7"
    assert os.path.realpath(links / "s/499 seed=499") == str(tmp_path / "outputs/s/499/tensorboard")
    make(500)
    assert board.link_new_runs() == ["s/500 seed=500"]
    assert board.link_new_runs() == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "tensorboard: no directory 'outputs'"),
        (["."], "tensorboard: no run in '.' has TensorBoard events"),
        ([".", "--prt=1"], "tensorboard: unrecognized arguments: --prt=1; did you mean '--port'?"),
        ([".", "--port=http"], "argument --port: 'http' is not an integer from 0 to 65535"),
        (["a", "b"], "tensorboard: unrecognized arguments: b"),
    ],
)
def test_an_invalid_argument_is_an_error(overrides, message, command):
    outcome = command("tensorboard", *overrides)
    assert outcome.code == (2 if "argument" in message else 1)
    assert message in outcome.err


@pytest.mark.slow  # a process that imports TensorBoard and reads its files in its own time
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize("hard_limit", [150, 1000])
def test_more_runs_than_open_files_are_allowed_are_shown_without_warnings(hard_limit, tmp_path):
    for number in range(200):
        run = tmp_path / f"runs/{number}"
        run.mkdir(parents=True)
        (run / "config.yaml").write_text(f"seed: {number}\n")
        (run / "provenance.json").write_text(json.dumps({"overrides": [f"seed={number}"]}))
        with SummaryWriter(str(run / "tensorboard")) as writer:
            writer.add_scalar("val/loss", 0.5)
    limits = f"ulimit -S -n 150; ulimit -H -n {hard_limit}; exec"
    program = f"{limits} {sys.executable} -m trainer tensorboard runs --port=0"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(["bash", "-c", program], text=True, cwd=tmp_path, **pipes) as board:
        try:
            url = board.stdout.readline().split()[0]
            deadline = time.monotonic() + 120
            while len(shown := fetch_json(f"{url}data/plugin/scalars/tags")) < 200 and time.monotonic() < deadline:
                time.sleep(0.5)
        finally:
            board.send_signal(signal.SIGINT)
        assert board.wait(30) == 0
        assert board.stderr.read() == ""
    assert len(shown) == 200
    assert all("val/loss" in tags for tags in shown.values())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_limit_of_open_files_is_raised():
    program = (
        "import resource; from trainer.core.open_files import raise_open_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (150, 1000))\n"
        "assert raise_open_file_limit() == 1000\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1000, 1000)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
