"""Help, completion and config composition of the command line."""

import subprocess
import sys

import pytest
import yaml

from trainer import __version__

WITHOUT_TORCH = """
import sys
sys.argv = ["trainer", *{arguments!r}]
from trainer.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = sorted({{"torch", "pytorch_lightning", "torchvision", "torchmetrics", "numpy"}} & set(sys.modules))
assert not heavy, heavy
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["--cfg", "job"],
        ["experiment=mnist_cnn", "--cfg", "job", "--resolve"],
        ["--info", "defaults"],
        ["list"],
        ["describe", "model/cnn"],
        ["describe", "experiment/mnist_cnn", "--json"],
        ["describe", "torch.optim.RMSprop"],
        ["schema", "schemas"],
    ],
    ids=" ".join,
)
def test_help_and_inspection_do_not_import_torch(arguments, tmp_path):
    script = WITHOUT_TORCH.format(arguments=arguments)
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("trainer experiment=xor", ["experiment=xor_mlp", "experiment=xor_tutorial"]),
        ("trainer optimizer=ad", ["optimizer=adam", "optimizer=adamw"]),
        ("trainer model.net.act", ["model.net.activation="]),
    ],
)
def test_completion_of_a_command_line(line, completions, process):
    outcome = process("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert outcome.out.split() == completions


def test_help_lists_the_choices_of_the_working_directory_too(command, tmp_path):
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text("net: {}")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/my_experiment.yaml").write_text("seed: 3")
    text = command("--help").out
    [models] = [line.split()[1:] for line in text.splitlines() if line.startswith("  model ")]
    assert models == sorted(models)
    assert {"cnn", "mine", "mlp"} <= set(models)
    assert "my_experiment" in text


def test_version_option(command):
    assert command("--version").out == f"trainer {__version__}\n"


def test_choices_and_values_are_composed(command):
    arguments = ["data=mnist", "model=cnn", "optimizer=adamw", "trainer.max_epochs=3", "model.net.hidden=[7]"]
    config = yaml.safe_load(command(*arguments, "--cfg", "job", "--resolve").out)
    assert config["data"]["_target_"] == "trainer.data.mnist.MNIST"
    assert config["model"]["net"]["_target_"] == "trainer.model.cnn.CNN"
    assert config["model"]["net"]["hidden"] == [7]
    assert config["optimizer"]["_target_"] == "torch.optim.AdamW"
    assert config["trainer"]["max_epochs"] == 3
    assert config["task_name"] == "mnist_cnn"


def test_callbacks_are_switched_on_and_off_by_name(command):
    config = yaml.safe_load(
        command(
            "callbacks=[default,early_stopping,gradient_clipping]", "~callbacks.prediction_images", "--cfg", "job"
        ).out
    )
    default = yaml.safe_load(command("--cfg", "job").out)["callbacks"]
    assert {"fast_loop", "checkpoint", "progress", "prediction_images"} <= {*default}
    expected = [*(name for name in default if name != "prediction_images"), "early_stopping", "gradient_clipping"]
    assert list(config["callbacks"]) == expected
    assert yaml.safe_load(command("callbacks=none", "--cfg", "job").out)["callbacks"] == {}


def test_settings_of_the_machine_are_read_from_conf_local(command, tmp_path):
    (tmp_path / "conf/local").mkdir(parents=True)
    (tmp_path / "conf/local/default.yaml").write_text("# @package _global_\noutputs: other\n")
    assert yaml.safe_load(command("--cfg", "job").out)["outputs"] == "other"


def test_a_user_file_hidden_by_a_packaged_one_causes_a_warning(command, tmp_path):
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mlp.yaml").write_text("net: {}")
    err = command("--cfg", "job").err
    assert f"warning: {tmp_path}/conf/model/mlp.yaml is ignored" in err
    assert "rename it" in err
