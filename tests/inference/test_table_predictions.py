"""Predictions on tables with other columns, values and formats than the training file."""

import pytest

from trainer.core.errors import UserError
from trainer.data.table import Table
from trainer.inference.load_checkpoint import LoadedCheckpoint
from trainer.inference.predictions import flatten_record
from trainer.inference.predictor import Predictor
from trainer.model.linear import Linear

NAMES = ["animal", "island", "mass"]
OBJECTIVE = {"_target_": "trainer.task.objective.make_objective", "_partial_": True}


@pytest.fixture
def predictor(tmp_path):
    """Return an untrained predictor of the columns `island` and `mass`; the target is `animal`."""
    rows = [f"{'cat' if n % 2 else 'dog'},{'ab'[n % 3 % 2]},{n}" for n in range(20)]
    (tmp_path / "train.csv").write_text("\n".join([",".join(NAMES), *rows]))
    settings = {"path": str(tmp_path / "train.csv"), "target": "animal"}
    data = Table(**settings, **Table(**settings).inferred_settings)  # as in a run
    data.setup("fit")
    config = {"objective": OBJECTIVE}
    net = Linear(data.spec).eval()
    return Predictor(LoadedCheckpoint(tmp_path / "a.ckpt", net, data.spec, data.preprocessing, config, {}, {}))


def predict(predictor, tmp_path, text):
    (tmp_path / "new.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return [dict(flatten_record(predictor.build_record(item))) for item in predictor.stream(tmp_path / "new.csv")]


def test_the_output_has_all_columns_of_the_file(predictor, tmp_path, caplog):
    [record] = predict(predictor, tmp_path, "mass,animal,island\n3,,a\n")
    assert [*record] == ["source", "row", "mass", "animal", "island", "class", "p_cat", "p_dog"]
    assert (record["row"], record["mass"], record["animal"], record["island"]) == (2, "3", "", "a")
    assert not caplog.records


def test_columns_of_the_file_and_of_the_prediction_may_have_the_same_names(predictor, tmp_path):
    names = "row,class,class_in_file,p_dog,mass,island"
    [record] = predict(predictor, tmp_path, f"{names}\nmine,x,y,0.5,3,a\n")
    assert (record["row"], record["row_in_file"]) == (2, "mine")
    assert (record["class_in_file_in_file"], record["class_in_file"]) == ("x", "y")
    assert record["class"] in ("cat", "dog")
    assert record["p_dog_in_file"] == "0.5"
    assert record["p_cat"] + record["p_dog"] == pytest.approx(1)


def test_unknown_columns_and_values_are_reported(predictor, tmp_path, caplog):
    records = predict(predictor, tmp_path, "color,island,mass,shape\nred,c,,round\nred,a,2,flat\nred,d,2,flat\n")
    assert len(records) == 3
    first, second = (record.getMessage().removeprefix(f"{tmp_path}/") for record in caplog.records)
    assert first == "new.csv: columns that training did not have, and that are not used: color, shape"
    assert second == "new.csv, column 'island': 2 cells have values that training did not have"


def test_the_format_may_differ_from_that_of_the_training_file(predictor, tmp_path):
    [expected] = predict(predictor, tmp_path, "island,mass\nb,2\n")
    [record] = predict(predictor, tmp_path, "a title\nmass;island;x\n2;b;ä\n".encode("utf-16"))
    assert (record["p_cat"], record["row"]) == (expected["p_cat"], 3)


def test_a_missing_column_is_an_error(predictor, tmp_path):
    with pytest.raises(UserError, match=r"new.csv, line 1: no column 'mass'; did you mean 'mas'\?$"):
        predict(predictor, tmp_path, "island,mas\na,1\n")
