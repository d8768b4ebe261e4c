"""TensorBoard output of every experiment, read by TensorBoard's own reader."""

import json
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME

from trainer.core.metric_name import make_tensorboard_tag

EXPERIMENTS = sorted(file.stem for file in (Path(__file__).resolve().parents[1] / "experiments").glob("*.yaml"))
SHORT = [
    "trainer.max_epochs=1",
    "trainer.log_every_n_steps=1",
    "trainer.accelerator=cpu",
    "trainer.check_val_every_n_epoch=1",
]
SHORT += [f"+trainer.limit_{stage}_batches={count}" for stage, count in {"train": 2, "val": 1, "test": 1}.items()]
KINDS = {"digits": "image", "mnist": "image", "cifar10": "image", "imdb": "tokens", "stock": "sequence"}
REGRESSION_DATA = ("line", "stock")
GAN_METRICS = ("discriminator_loss", "generator_loss", "real", "fake")


@pytest.fixture
def run_experiment(command):
    """Return a function that runs an experiment briefly, on synthetic data if possible, and reads its events."""

    def run(name, *extra_overrides, directory="run"):
        config = yaml.safe_load(command(f"experiment={name}", "--cfg", "job").out)
        overrides = [f"experiment={name}", *SHORT, *extra_overrides, f"hydra.run.dir={directory}"]
        overrides += ["data.synthetic=true"] * ("synthetic" in config["data"])
        overrides += ["model.net.weights=null", "model.net.trainable=all"] * bool(config["model"]["net"].get("weights"))
        outcome = command(*overrides)
        assert outcome.code == 0, outcome.err
        log_dir = outcome.directory / directory / "tensorboard"
        events = EventAccumulator(str(log_dir), size_guidance={"images": 0, "scalars": 0, "tensors": 0}).Reload()
        return config, events, log_dir

    return run


def expected_tags(data, model):
    """Return the tags of images, of scalars, and of texts and curves."""
    kind = KINDS.get(data, "vector")
    is_classification = data not in REGRESSION_DATA
    images = {"train/first_batch"} if kind in ("image", "sequence") else set()
    others = {"config/text_summary", "custom_scalars__config__"}
    others |= set() if images else {"train/first_batch/text_summary"}
    if model == "gan":
        names = {f"{stage}/{name}" for stage in ("train", "val", "test") for name in GAN_METRICS}
        optimizer_names = {f"{name}_{net}" for name in ("lr", "grad_norm") for net in ("generator", "discriminator")}
        return images | {"samples"}, names | optimizer_names, others
    images |= (
        {"test/confusion_matrix", "test/roc", "test/precision_recall"}
        if is_classification
        else {"test/regression_plot"}
    )
    images |= {"test/predictions", "val/predictions"} if kind == "image" else set()
    images |= {"test/price_forecast"} if data == "stock" else set()
    images |= {"test/attention"} if model == "attention" else set()
    others |= (
        {"test/classification_report/text_summary"} if is_classification else {"test/worst_predictions/text_summary"}
    )
    names = {"train/loss", "lr", "grad_norm"} | {f"{stage}/loss" for stage in ("val", "test")}
    names |= {f"{stage}/{'accuracy' if is_classification else 'rmse'}" for stage in ("val", "test")}
    return images, names, others


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_writes_all_expected_tags(name, run_experiment):
    config, events, directory = run_experiment(name)
    data = config["data"]["_target_"].split(".")[2]
    model = config["model"]["net"]["_target_"].split(".")[2]
    images, scalars, others = expected_tags(data, model)
    if "unfreezing" in config["callbacks"]:  # two parameter groups, each with its own rate
        scalars = scalars - {"lr"} | {"lr/pg1", "lr/pg2"}
    elif names := config["optimizer"].get("groups"):
        scalars = scalars - {"lr"} | {f"lr/{name}" for name in (*names, "rest")}
    n_steps = json.loads((directory.parent / "result.json").read_text())["steps"]  # 2, or 1 if the epoch has 1 batch
    tags = events.Tags()
    assert {*tags["images"]} >= images
    assert {*tags["scalars"]} >= {*map(make_tensorboard_tag, scalars | {"epoch", "steps_per_second"})}
    groups = sorted({tag.partition("/")[0] for tag in tags["scalars"]})
    assert {*groups[:2]} >= {"loss"} or model == "gan"  # TensorBoard opens two groups
    assert {*tags["tensors"]} >= others
    assert any(tag.startswith("test/pr/") for tag in tags["tensors"]) == ("test/roc" in images)
    assert tags["graph"]
    assert {"inputs"} < {node.name for node in events.Graph().node}
    for tag in tags["scalars"]:
        steps = [event.step for event in events.Scalars(tag)]
        assert steps == sorted(steps), tag
        if tag in ("other/lr", "other/grad_norm", "loss/train"):
            assert steps == [*range(n_steps)], tag  # each step once
    content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    hparams = metadata.parse_session_start_info_plugin_data(content).hparams
    assert "trainer.max_epochs" in hparams
    assert (directory / PROJECTOR_FILENAME).is_file() == (KINDS.get(data) in ("image", "tokens") and model != "gan")


@pytest.mark.slow
def test_an_optional_callback_adds_its_tags(run_experiment):
    _, events, _ = run_experiment("diabetes_mlp")
    assert events.Tags()["histograms"] == []
    _, events, _ = run_experiment("diabetes_mlp", "callbacks=[default,histograms]", directory="other")
    assert {"weights/layers.0.weight", "gradients/layers.0.weight", "activations/layers.0"} <= {
        *events.Tags()["histograms"]
    }
