"""What every recipe leaves in TensorBoard, read back by TensorBoard's own reader."""

import json
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME

EXPERIMENTS = sorted(file.stem for file in (Path(__file__).resolve().parents[1] / "experiments").glob("*.yaml"))
SHORT = [
    "trainer.max_epochs=1",
    "trainer.log_every_n_steps=1",
    "trainer.accelerator=cpu",
    "trainer.check_val_every_n_epoch=1",
]
SHORT += [f"+trainer.limit_{stage}_batches={count}" for stage, count in {"train": 2, "val": 1, "test": 1}.items()]
KINDS = {"digits": "image", "mnist": "image", "cifar10": "image", "imdb": "tokens", "stock": "sequence"}
OF_VALUES = ("line", "stock")
PAIR = ("discriminator_loss", "generator_loss", "real", "fake")


@pytest.fixture
def recipe(command):
    """Runs an experiment in short, on made-up data where the real ones are in files; its config and its events."""

    def run(name, *more, folder="run"):
        config = yaml.safe_load(command(f"experiment={name}", "--cfg", "job").out)
        words = [f"experiment={name}", *SHORT, *more, f"hydra.run.dir={folder}"]
        words += ["data.synthetic=true"] * ("synthetic" in config["data"])
        words += ["model.net.weights=null", "model.net.trainable=all"] * bool(config["model"]["net"].get("weights"))
        outcome = command(*words)
        assert outcome.code == 0, outcome.err
        events = outcome.directory / folder / "tensorboard"
        board = EventAccumulator(str(events), size_guidance={"images": 0, "scalars": 0, "tensors": 0}).Reload()
        return config, board, events

    return run


def expected(data, model):
    """Tags of images, of scalars (the beginning of each), and of texts and curves."""
    kind, classes = KINDS.get(data, "vector"), data not in OF_VALUES
    images = {"train/first_batch"} if kind in ("image", "sequence") else set()
    others = {"config/text_summary", "custom_scalars__config__"}
    others |= set() if images else {"train/first_batch/text_summary"}
    if model == "gan":
        names = {f"{stage}/{name}" for stage in ("train", "val", "test") for name in PAIR}
        own = {f"{name}_{net}" for name in ("lr", "grad_norm") for net in ("generator", "discriminator")}
        return images | {"samples"}, names | own, others
    images |= {"test/confusion", "test/roc"} if classes else {"test/values"}
    images |= {"test/predictions", "val/predictions"} if kind == "image" else set()
    images |= {"test/forecast"} if data == "stock" else set()
    images |= {"test/attention"} if model == "attention" else set()
    others |= {"test/classes/text_summary"} if classes else {"test/mistakes/text_summary"}
    names = {"train/loss", "lr", "grad_norm"} | {f"{stage}/loss" for stage in ("val", "test")}
    names |= {f"{stage}/{'accuracy' if classes else 'rmse'}" for stage in ("val", "test")}
    return images, names, others


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_recipe_writes_all_that_fits_it(name, recipe):
    config, board, folder = recipe(name)
    data, model = config["data"]["_target_"].split(".")[2], config["model"]["net"]["_target_"].split(".")[2]
    images, scalars, others = expected(data, model)
    if "unfreezing" in config["callbacks"]:  # two groups of weights, each with a rate of its own
        scalars = scalars - {"lr"} | {"lr/pg1", "lr/pg2"}
    made = json.loads((folder.parent / "result.json").read_text())["steps"]  # 2, or the one that an epoch has
    tags = board.Tags()
    assert {*tags["images"]} >= images
    assert {*tags["scalars"]} >= scalars | {"epoch", "steps_per_second"}
    assert {*tags["tensors"]} >= others
    assert any(tag.startswith("test/pr/") for tag in tags["tensors"]) == ("test/roc" in images)
    assert tags["graph"]
    assert {"inputs"} < {node.name for node in board.Graph().node}
    for tag in tags["scalars"]:
        steps = [event.step for event in board.Scalars(tag)]
        assert steps == sorted(steps), tag
        if tag in ("lr", "grad_norm", "train/loss"):
            assert steps == [*range(made)], tag  # once for each step: no curve has a step twice
    content = board.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    told = metadata.parse_session_start_info_plugin_data(content).hparams
    assert "trainer.max_epochs" in told
    assert (folder / PROJECTOR_FILENAME).is_file() == (KINDS.get(data) in ("image", "tokens") and model != "gan")


def test_what_nobody_chose_is_not_written_and_a_choice_adds_it(recipe):
    _, board, _ = recipe("diabetes_mlp")
    assert board.Tags()["histograms"] == []
    _, board, _ = recipe("diabetes_mlp", "callbacks=[default,histograms]", folder="other")
    assert {"weights/layers.0.weight", "gradients/layers.0.weight", "activations/layers.0"} <= {
        *board.Tags()["histograms"]
    }
