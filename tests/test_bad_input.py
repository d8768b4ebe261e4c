"""Messages and exit codes for user errors; no traceback is printed and no file is lost."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from trainer.data import mnist

# expected parts of the message, by command line
EXPECTED_MESSAGES = {
    "experiment=mnist_cn": [
        "experiment: there is no 'experiment/mnist_cn'; did you mean 'mnist_cnn'?  (command line: "
    ],
    "model=cn": ["model/cn", "did you mean 'cnn'?"],
    "modle=cnn": ["modle: no such key; did you mean 'model'?"],
    "zzz=3": ["zzz: no such key; there are: accept_changes, callbacks, "],
    "epocs=3": ["epocs: no such key; did you mean trainer.max_epochs=3?"],
    "lr=0.1 batch_size=8": ["did you mean optimizer.lr=0.1?", "did you mean data.batch_size=8?"],
    "optimizer.learning_rate=1": ["optimizer.learning_rate: no such key; did you mean optimizer.lr=1?"],
    "optimiser.lr=0.1": ["optimiser: no such key; did you mean optimizer.lr=0.1?"],
    "data=MNIST": ["there is no 'data/MNIST'; did you mean 'mnist'?"],
    "digits_cnn": ["digits_cnn: not an override; did you mean experiment=digits_cnn or "],
    "help": ["help: not a command; expected trainer --help"],
    "train data=xor": ["train: not a command; leave it out: 'trainer OVERRIDES' trains"],
    "predit last.ckpt": ["predit: not a command; did you mean 'predict'?"],
    "--lr 0.01": ["--lr: no such option; settings of the config have no dashes: expected optimizer.lr=0.01"],
    "data=xor --mulitrun seed=1,2": ["--mulitrun: no such option; did you mean --multirun?"],
    "optimizer.lr = 0.01": ["optimizer.lr = 0.01: contains spaces; expected optimizer.lr=0.01"],
    "-m model=mlp, cnn": ["model=mlp, cnn: contains spaces; expected model=mlp,cnn"],
    "-m seed=1,2, lr=1": ["seed: a value is missing after the comma", "did you mean optimizer.lr=1?"],
    "seed=1, 2 --plan": ["seed=1, 2: contains spaces; expected seed=1,2"],
    "model.net.hidden=[4": ["model.net.hidden: [ without ]"],
    "model.net.hiden=[3]": ["model.net.hiden: no such key; did you mean 'hidden'?"],
    "+model.net.hiden=[3]": ["model.net.hiden: ", "did you mean 'hidden'?", "(command line: +model.net.hiden=[3])"],
    "seed=abc": ["seed", "'abc'", "Integer"],
    "seed=-1": ["seed: -1 is out of range; expected 0 to 4294967295  (command line: seed=-1)"],
    "scheduler=step scheduler.every_n_epochs=0": ["scheduler.every_n_epochs: 0 is too small"],
    "trainer.max_epochs=abc": ["trainer.max_epochs: 'abc' is not int or null  (command line: trainer.max_epochs=abc)"],
    "optimizer.lr=abc": ["optimizer.lr: 'abc' is not float"],
    "model.net.hidden=abc": ["model.net.hidden: 'abc' is not list of int"],
    "model.net.hidden=[64,b]": ["model.net.hidden: [64, 'b'] is not list of int"],
    "model.net.activation=rel": ["model.net.activation: 'rel' is not one of: 'relu', "],
    "model.net._target_=trainer.model.mlp.MPL": ["model.net._target_", "trainer.model.mlp.MPL"],
    "optimizer.lr=-1": ["optimizer: ", "-1"],
    "data.batch_size=0": ["data.batch_size", "at least 1"],
    "model=cnn data=xor": [
        "model 'cnn' needs images",
        "data 'xor' has vectors (2,)",
        "is compatible with: model=linear, model=mlp",
    ],
    "model=cnn model.net.channels=[8,8,8,8]": ["model.net.channels", "at most 3", "digits"],
    "objective.loss=mse": ["objective.loss: 'mse' does not fit", "cross_entropy"],
    "model.net.hidden=[64],[128]": ["model.net.hidden: several values for one run", "--multirun"],
    "trainer=gpu": ["trainer.accelerator: PyTorch finds no GPU on this machine; use trainer=cpu"],
    "+optimiser.lr=0.1": ["optimiser: unknown config key", "did you mean 'optimizer'", "+optimiser.lr=0.1"],
    "+model.nett.hidden=3": ["model.nett: trainer.task.supervised.Supervised takes no 'nett'; did you mean 'net'?"],
    "experiment=xor_mlp model=linear": ["Linear takes no 'hidden'", "experiments/xor_mlp.yaml"],
    "callbacks=[defualt]": ["callbacks/defualt", "did you mean 'default'?"],
    "-m --cfg job": ["--cfg prints the config of a single job"],
    "scheduler=cosine trainer.max_epochs=-1": ["scheduler: the length of the training is unknown"],
    "ckpt_path=nowhere.ckpt": ["ckpt_path", "nowhere.ckpt"],
    "train=false": ["ckpt_path"],
    "callbacks.checkpoint.monitor=val/acuracy": ["val/acuracy", "val/accuracy"],
    "callbacks=[default,early_stopping] callbacks.early_stopping.monitor=vall": ["vall", "val/loss"],
    "optimized_metric=val/relative_rmse": ["optimized_metric: no metric 'val/relative_rmse'", "test/accuracy"],
    "optimized_metric=test/acc trainer.max_epochs=1": ["optimized_metric: no metric 'test/acc'", "test/accuracy"],
}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", EXPECTED_MESSAGES)
def test_an_error_has_one_clear_message(arguments, command):
    if arguments == "trainer=gpu":
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    outcome = command(*arguments.split())
    assert outcome.code in (1, 2)
    assert "Traceback" not in outcome.err + outcome.out
    message = outcome.err[outcome.err.index("error: ") :]
    for part in EXPECTED_MESSAGES[arguments]:
        assert part in message
    assert message.count("error: ") == 1
    assert len(message.splitlines()) <= 16


def test_a_name_that_is_similar_to_no_choice_lists_all_choices_in_one_line(command):
    message = command("experiment=zzz").err.splitlines()
    assert len(message) == 1
    assert "; there are: cifar10_cnn, " in message[0]
    assert ", xor_mlp, xor_tutorial  (command line: experiment=zzz)" in message[0]


def test_all_errors_are_reported_together(command):
    outcome = command("optimizer.lr=abc", "trainer.max_epochs=x", "model.net.dropout=y")
    for key in ("optimizer.lr: ", "trainer.max_epochs: ", "model.net.dropout: "):
        assert key in outcome.err


def test_a_misspelled_key_in_an_experiment_names_the_file(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    file = tmp_path / "experiments/typo.yaml"
    file.write_text("model:\n  net:\n    hiden: [3]\n")
    outcome = command("experiment=typo")
    assert outcome.code == 1
    message = "model.net.hiden: trainer.model.mlp.MLP takes no 'hiden'; did you mean 'hidden'?"
    assert f"{message}  (in {file.relative_to(tmp_path)}:3)" in outcome.err


def test_an_unknown_key_at_the_top_of_an_experiment_is_refused(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/typo.yaml").write_text("sead: 7\n")
    outcome = command("experiment=typo")
    assert outcome.code == 1
    assert "sead: unknown config key; did you mean 'seed'?  (in experiments/typo.yaml:1)" in outcome.err


def test_missing_data_without_a_network_connection_name_the_solutions(command, tmp_path):
    outcome = command("data=mnist", "data.mirrors=[http://127.0.0.1:9/]")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    for part in [
        str(Path("data/MNIST/raw/train-images-idx3-ubyte")),
        "http://127.0.0.1:9/train-images-idx3-ubyte.gz",
        "6bbc9ace898e44ae57da46a324031adb",
        "TRAINER_DATA_DIR",
        "data.dir",
    ]:
        assert part in outcome.err


def test_a_data_file_with_the_wrong_checksum_is_named_and_kept(command, tmp_path):
    file = tmp_path / "data/MNIST/raw/train-images-idx3-ubyte"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not images")
    outcome = command("data=mnist", "data.mirrors=[]")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "data/MNIST/raw/train-images-idx3-ubyte is not the published file" in outcome.err
    assert "elete" not in outcome.err
    assert mnist.FILES["train-images-idx3-ubyte"].md5 in outcome.err
    assert file.read_bytes() == b"not images"


def test_an_output_directory_that_cannot_be_written_is_named(command, tmp_path):
    (tmp_path / "taken").write_text("a file instead of a directory")
    outcome = command("outputs=taken")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "cannot write to 'taken/digits_mlp/" in outcome.err
    assert "outputs=DIR" in outcome.err


def test_an_exception_in_user_code_keeps_its_traceback(command, tmp_path):
    (tmp_path / "broken_code.py").write_text("def net(spec):\n    return [][1]\n")
    (tmp_path / "conf/model").mkdir(parents=True)
    module = "trainer.task.supervised.Supervised"
    net = "{_target_: broken_code.net, _partial_: true}"
    (tmp_path / "conf/model/broken.yaml").write_text(f"_target_: {module}\nnet: {net}\n")
    outcome = command("model=broken")
    assert outcome.code == 1
    assert "IndexError: list index out of range" in outcome.err
    assert "broken_code.py" in outcome.err


def test_a_users_price_file_is_not_compared_with_the_checksum_of_another_file(command, tmp_path):
    start = date(2020, 1, 1)
    rows = [f"{start + timedelta(number)},{100 + number % 7}" for number in range(60)]
    (tmp_path / "mine.csv").write_text("\n".join(["Date,Close", *rows]))
    overrides = ["experiment=stock_lstm", "data.dir=.", "trainer.max_epochs=1", "callbacks=none", "logger=none"]
    outcome = command(*overrides, "data.path=mine.csv")
    assert outcome.code == 0, outcome.err
    (tmp_path / "stocks").mkdir()
    (tmp_path / "mine.csv").rename(tmp_path / "stocks/GOOG.csv")
    outcome = command(*overrides)
    assert outcome.code == 1
    assert "stocks/GOOG.csv is not the published file: its MD5 is " in outcome.err
    assert outcome.err.endswith("To read the present file anyway: data.md5=''\n")
