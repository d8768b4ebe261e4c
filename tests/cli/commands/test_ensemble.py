"""Tests of `trainer ensemble`, on runs that are trained once for all tests."""

import json
import shutil

import pytest
import torch

import trainer
from trainer.artifacts.stored_predictions import read_predictions
from trainer.config.target_allowlist import find_untrusted_targets
from trainer.data.digits import Digits

QUICK = ["trainer.max_epochs=1", "logger=none", "preflight.step=false"]
TABLE = ["data=table", "data.path=rows.csv", "data.target=price", "model=mlp", "model.net.hidden=[4]"]
RUNS = {
    "sweep/a": ["seed=1"],
    "sweep/b": ["seed=2"],
    "sweep/c": ["seed=3"],
    "mlp": ["model=mlp", "model.net.hidden=[8]"],
    "split": ["data.data_seed=1"],
    "smooth": ["objective.label_smoothing=0.1"],
    "hinge": ["objective.loss=hinge"],
    "cnn/a": ["model=cnn", "model.net.channels=[2]", "model.net.hidden=[]", "model.net.batch_norm=true"],
    "cnn/b": ["model=cnn", "model.net.channels=[2]", "model.net.hidden=[]", "model.net.batch_norm=true", "seed=2"],
    "prices/a": TABLE,
    "prices/b": [*TABLE, "seed=2"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, restored_logging):
    """Return a directory with the runs in `RUNS`."""
    directory = tmp_path_factory.mktemp("runs")
    rows = [f"{size},{size % 7},{1000 + 30 * size}" for size in range(60)]
    (directory / "rows.csv").write_text("\n".join(["size,age,price", *rows]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.delenv("TRAINER_DATA_DIR", raising=False)
        for name, overrides in RUNS.items():
            trainer.train("data=digits", "model=linear", *QUICK, *overrides, f"hydra.run.dir={name}")
    return directory


@pytest.fixture
def combine(command, runs, monkeypatch):
    """Run `trainer ensemble` on some runs in their directory; its output is in the directory of the test."""

    def run(*arguments):
        monkeypatch.chdir(runs)
        shutil.rmtree(runs / "out", ignore_errors=True)
        return command("ensemble", *arguments, "--output=out")

    return run


def read_result(directory):
    return json.loads((directory / "result.json").read_text())


def read_members(directory):
    paths = json.loads((directory / "provenance.json").read_text())["members"]
    return [path.partition("/sweep/")[2] for path in paths]


def read_checkpoint(directory):
    return torch.load(directory / "checkpoints/best.ckpt", weights_only=True)


def load_digits(stage="test"):
    digits = Digits(batch_size=1)
    digits.setup(stage)
    return digits.prepare(digits.splits[stage].inputs), digits.splits[stage].targets


def test_the_runs_of_a_sweep_become_a_run_whose_probabilities_are_means(combine, runs):
    outcome = combine("sweep")
    assert outcome.code == 0, outcome.err
    inputs, targets = load_digits()
    with torch.inference_mode():
        members = [trainer.load(runs / "sweep" / name).net(inputs).softmax(1) for name in "abc"]
    expected = torch.stack(members).mean(0)
    torch.testing.assert_close(trainer.load(runs / "out").net(inputs).softmax(1), expected)
    predictions, _ = read_predictions(runs / "out")
    torch.testing.assert_close(predictions.scores, expected)
    result = read_result(runs / "out")
    accuracy = (expected.argmax(1) == targets).double().mean().item()
    assert result["state"] == "finished"
    assert result["metrics"]["test/accuracy"] == pytest.approx(accuracy)
    assert result["intervals"]["test/accuracy"]["low"] < accuracy < result["intervals"]["test/accuracy"]["high"]
    assert read_members(runs / "out") == ["a", "b", "c"]
    lines = [line.split() for line in outcome.out.splitlines()]
    [row] = [line for line in lines if line[:1] == ["ensemble"]]
    assert row[4] == f"{accuracy:.4g}"
    assert [line[0] for line in lines if line and line[0].startswith("sweep/")] == ["sweep/a", "sweep/b", "sweep/c"]


def test_other_commands_use_the_directory_like_that_of_a_run(combine, command, runs):
    assert combine("sweep", "mlp", "--calibrate").code == 0
    outcome = command("test", "out", "hydra.run.dir=tested")
    assert outcome.code == 0, outcome.err
    assert "warning" not in outcome.err + outcome.out
    metrics = read_result(runs / "out")["metrics"]
    tested = {name: value for name, value in metrics.items() if name.startswith("test/")}
    assert read_result(runs / "tested")["metrics"] == pytest.approx(tested)
    for arguments in (["compare", "out", "sweep/a"], ["report", "out"], ["export", "out", "--format=torch"]):
        outcome = command(*arguments)
        assert outcome.code == 0, (arguments, outcome.err)
    for name in ("resume", "replay"):
        outcome = command(name, "out")
        assert outcome.code == 1
        assert "combines 4 run(s), and is not trained itself" in outcome.err
    outcome = command("ensemble", "sweep", "out", "--output=again", "--best=1")
    assert "left out: out: an ensemble itself" in outcome.out


def test_values_are_means_in_the_units_of_the_file(combine, command, runs):
    outcome = combine("prices")
    assert outcome.code == 0, outcome.err
    values = [trainer.load(runs / path).predict("rows.csv") for path in ("prices/a", "prices/b", "out")]
    for first, second, mean in zip(*values, strict=True):
        assert mean.value == pytest.approx((first.value + second.value) / 2)
        assert 0 < mean.value < 5000


@pytest.mark.parametrize(("metric", "best"), [("val/accuracy", max), ("val/loss", min)])
def test_the_best_runs_are_chosen_by_validation(metric, best, combine, runs):
    values = {name: read_checkpoint(runs / "sweep" / name)["metrics"][metric] for name in "abc"}
    assert len({*values.values()}) == 3
    worst = (min if best is max else max)(values, key=values.__getitem__)
    outcome = combine("sweep", "--best=2", f"--metric={metric}")
    assert outcome.code == 0, outcome.err
    assert read_members(runs / "out") == [name for name in "abc" if name != worst]
    assert f"2 of 3 runs, the best by {metric}" in outcome.out


def test_mean_weights_are_those_of_one_network(combine, runs):
    assert combine("sweep", "--average=weights").code == 0
    states = [read_checkpoint(runs / "sweep" / name)["state_dict"] for name in "abc"]
    mean = read_checkpoint(runs / "out")["state_dict"]
    assert mean.keys() == {"net.temperature", *(f"net.members.run_1.{name[4:]}" for name in states[0])}
    for name in states[0]:
        torch.testing.assert_close(mean[f"net.members.run_1.{name[4:]}"], sum(state[name] for state in states) / 3)


def test_batch_norms_have_the_statistics_of_the_mean_weights(combine, runs):
    assert combine("cnn", "--average=weights").code == 0
    [member] = trainer.load(runs / "out").net.members.values()
    inputs, _ = load_digits("train")
    convolution, norm = member.blocks[0], member.blocks[1]
    with torch.inference_mode():
        expected = convolution(inputs).mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, expected, rtol=0.01, atol=0.01)  # batches differ in size


def test_a_temperature_is_fitted_on_validation_and_does_not_change_the_classes(combine, runs):
    assert combine("sweep").code == 0
    inputs, targets = load_digits("val")
    logits = trainer.load(runs / "out").net(inputs)
    outcome = combine("sweep", "--calibrate")
    assert outcome.code == 0, outcome.err
    calibration = read_result(runs / "out")["calibration"]
    scaled = trainer.load(runs / "out").net(inputs)
    torch.testing.assert_close(scaled, logits / calibration["temperature"])
    loss = torch.nn.functional.cross_entropy(scaled, targets).item()
    assert calibration["cross_entropy"] == pytest.approx(loss, rel=1e-5)
    assert calibration["cross_entropy"] < calibration["uncalibrated_cross_entropy"]
    assert f"temperature {calibration['temperature']:.4g}" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "split"], "'split' and 'sweep/a' cannot be combined; different examples (SHA-256): "),
        (["sweep", "prices/a"], "'prices/a' and 'sweep/a' cannot be combined; different spec of the data.name: table"),
        (["sweep", "smooth"], "different objective.label_smoothing: 0.1 and 0.0"),
        (["sweep", "mlp", "--average=weights"], "'mlp' and 'sweep/a' have different networks; use --average=outputs"),
        (["hinge", "--calibrate"], "--calibrate: the outputs are no probabilities"),
        (["prices", "--calibrate"], "--calibrate: the outputs are no probabilities"),
        (["mlp"], "1 usable run(s); expected at least 2, or one with --calibrate"),
        (["sweep", "--best=4"], "--best: 4 of 3 runs; expected at most 3"),
        (["sweep", "--best=1", "--metric=test/accuracy"], "--metric: 'test/accuracy' is not a validation metric"),
        (["rows.csv"], "no runs in 'rows.csv'"),
    ],
)
def test_errors_name_the_difference_and_write_nothing(arguments, message, combine, runs):
    outcome = combine(*arguments)
    assert outcome.code == 1
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (runs / "out").exists()


def test_a_directory_with_files_is_not_overwritten(command, runs, monkeypatch):
    monkeypatch.chdir(runs)
    outcome = command("ensemble", "sweep", "--output=mlp")
    assert "--output: 'mlp' is not empty; expected a new or empty directory" in outcome.err
    assert read_result(runs / "mlp")["steps"] > 0
    assert "--output is missing" in command("ensemble", "sweep").err


def test_a_metric_of_a_callback_can_choose_runs(combine, runs, tmp_path):
    shutil.copytree(runs / "sweep", tmp_path / "sweep")
    for name, value in zip("abc", (0.5, 0.6, 0.4), strict=True):
        checkpoint = read_checkpoint(tmp_path / "sweep" / name)
        checkpoint["metrics"] = {"val/mae_price": value, **checkpoint["metrics"]}
        torch.save(checkpoint, tmp_path / "sweep" / name / "checkpoints/best.ckpt")
    outcome = combine(str(tmp_path / "sweep"), "--best=2", "--metric=val/mae_price")
    assert outcome.code == 0, outcome.err
    assert read_members(runs / "out") == ["a", "c"]
    assert "val/accuracy" in combine(str(tmp_path / "sweep")).out


def test_unfinished_runs_are_left_out(combine, runs, tmp_path):
    shutil.copytree(runs / "sweep", tmp_path / "copy")
    result = read_result(tmp_path / "copy/b") | {"state": "failed"}
    (tmp_path / "copy/b/result.json").write_text(json.dumps(result))
    outcome = combine(str(tmp_path / "copy"))
    assert outcome.code == 0, outcome.err
    assert f"left out: {tmp_path / 'copy/b'}: failed" in outcome.out
    assert len(read_members(runs / "out")) == 2


def test_changed_data_are_an_error(combine, runs):
    text = (runs / "rows.csv").read_text()
    (runs / "rows.csv").write_text(text.replace("1030", "1031"))
    outcome = combine("prices")
    (runs / "rows.csv").write_text(text)
    assert outcome.code == 1
    assert "the data have changed since the runs: data.path=rows.csv: different examples" in outcome.err
    assert not (runs / "out").exists()


def test_an_ensemble_is_not_trained(command):
    net = "+model.net={_target_:trainer.model.ensemble.Ensemble,_partial_:true,averaged:outputs,members:{a:%s}}"
    linear = "{_target_:trainer.model.linear.Linear,_partial_:true}"
    outcome = command("data=digits", "model=custom", "model._target_=trainer.Supervised", net % linear)
    assert outcome.code == 1
    assert "model.net: an ensemble combines trained networks, and is not trained itself" in outcome.err


def test_the_config_is_trusted_only_if_its_members_are(combine, runs):
    assert combine("sweep").code == 0
    config = read_checkpoint(runs / "out")["config"]
    assert [*find_untrusted_targets(config)] == []
    config["model"]["net"]["members"]["run_2"]["_target_"] = "mine.Net"
    [(key, target, _)] = find_untrusted_targets(config)
    assert (key, target) == ("model.net.members.run_2", "mine.Net")
