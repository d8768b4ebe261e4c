"""`trainer tensorboard`: readable names, the varied keys alone, this machine alone, and 500 runs."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from trainer.report.tensorboard_logdir import LogDirectory


def asked(url, question=None):
    data = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.slow  # a process that imports TensorBoard and reads its files in its own time
def test_tensorboard_shows_each_run_once_with_every_key_also_those_of_a_later_run(command):
    assert command("-m", "data=xor", "trainer.max_epochs=2", "optimizer.lr=0.1,0.01", "hydra.sweep.dir=o/a").code == 0
    assert command("data=xor", "trainer.max_epochs=2", "model.net.activation=relu", "hydra.run.dir=o/b").code == 0
    program = [sys.executable, "-m", "trainer", "tensorboard", "o", "port=0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=command("runs").directory) as board:
        try:
            line = board.stdout.readline()
            url = line.split()[0]
            assert url.startswith("http://localhost:"), line
            assert "3 run(s) below o" in line
            for _ in range(60):
                names = [name for name in asked(f"{url}data/runs") if name != "."]
                experiment = asked(f"{url}data/plugin/hparams/experiment", {})
                if len(names) == 3 and experiment.get("hparamInfos"):
                    break
            assert names == ["a/0 optimizer.lr=0.1", "a/1 optimizer.lr=0.01", "b model.net.activation=relu"]
            keys = [info["name"] for info in experiment["hparamInfos"]]
            assert {*keys} == {"optimizer.lr", "data", "trainer.max_epochs", "model.net.activation"}
            metrics = [info["name"]["tag"] for info in experiment["metricInfos"]]
            assert {"val/loss", "val/loss_best", "test/loss"} <= {*metrics}
            assert all(name.startswith(("val/", "test/")) for name in metrics)
            wanted = {"colParams": [{"hparam": key} for key in keys], "startIndex": 0, "sliceSize": 10}
            wanted["allowedStatuses"] = ["STATUS_SUCCESS", "STATUS_UNKNOWN"]
            groups = asked(f"{url}data/plugin/hparams/session_groups", wanted)["sessionGroups"]
            assert [group["hparams"] for group in groups][:2] == [{"optimizer.lr": 0.1}, {"optimizer.lr": 0.01}]
        finally:
            board.send_signal(signal.SIGINT)
        assert board.wait(30) == 0


def test_five_hundred_runs_are_linked_and_new_ones_found(tmp_path):
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
    names = board.look()
    assert len(names) == 500
    assert names[7] == "s/7 seed=7"
    assert os.path.realpath(links / "s/499 seed=499") == str(tmp_path / "outputs/s/499/tensorboard")
    make(500)
    assert board.look() == ["s/500 seed=500"]
    assert board.look() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "tensorboard: no folder 'outputs'"),
        (["."], "tensorboard: no run below '.' has TensorBoard events"),
        ([".", "prt=1"], "there is no 'prt'; did you mean 'port'?"),
        ([".", "port=http"], "port='http' is not a whole number"),
        (["a", "b"], "name one folder"),
    ],
)
def test_a_mistake_gets_a_message(words, message, command):
    outcome = command("tensorboard", *words)
    assert outcome.code == 1
    assert message in outcome.err
