"""Tables from CSV files of different formats, standardization and downloads."""

import gzip
import hashlib
import math
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.table import Table

ROWS = "\n".join(f"{n},{10 * n},{'yes' if n % 2 else 'no'}" for n in range(10))
NAMED = f"x,y,answer\n{ROWS}\n"


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a file and loads it as a table with the target `answer`."""

    def load_table(text, *, name="some.csv", **settings):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        classes = {} if settings.get("task") == "regression" else {"class_names": ["no", "yes"]}
        dataset = Table(**{"path": name, "dir": str(tmp_path), "repeats": 1} | classes | settings)
        dataset.setup("fit")
        return dataset

    return load_table


def rows(data):
    """Return all rows of the three splits, sorted by their first number."""
    examples = [
        (*inputs.tolist(), *targets.flatten().tolist())
        for split in data.splits.values()
        for inputs, targets in zip(split.inputs, split.targets[:, None], strict=True)
    ]
    return sorted(examples)


def read_error(table, text, **settings):
    with pytest.raises(UserError) as error:
        table(text, **settings)
    return str(error.value)


@pytest.mark.parametrize("name", ["some.csv", "some.csv.gz"])
def test_each_row_is_in_one_split_with_its_class(table, name):
    data = table(NAMED, name=name)
    assert [len(split.targets) for split in data.splits.values()] == [6, 2, 2]
    assert rows(data) == [(n, 10 * n, n % 2) for n in range(10)]
    assert data.splits["train"].targets.dtype == torch.int64


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        pytest.param(ROWS, {"header": False}, id="without a header"),
        pytest.param(NAMED, {"target": "answer"}, id="the target by name"),
        pytest.param(NAMED, {"target": 2}, id="the target by number"),
        pytest.param(NAMED.replace(",", ";"), {"delimiter": ";"}, id="semicolons"),
        pytest.param(NAMED.replace(",", "\t"), {"delimiter": "\t"}, id="tabs"),
        pytest.param(NAMED.replace(",", "\t"), {"delimiter": "\\t"}, id="tabs as one types them"),
        pytest.param("\ufeff" + NAMED.replace("\n", "\r\n\r\n"), {}, id="as Windows writes it, with blank lines"),
        pytest.param(NAMED.replace(",", " , "), {}, id="blanks around the cells"),
        pytest.param(NAMED.replace("no", '"no"').replace("answer", '"answer"'), {}, id="quotes"),
        pytest.param(NAMED.replace("\n", ",note\n"), {"target": "answer", "drop": [-1]}, id="a column left out"),
        pytest.param(NAMED.replace("no", "0").replace("yes", "1"), {"class_names": []}, id="classes by number"),
        pytest.param(NAMED.replace("no", "0").replace("yes", "1.0"), {}, id="classes by number, with names"),
    ],
)
def test_equivalent_csv_files_give_the_same_table(table, text, settings):
    assert rows(table(text, **settings)) == [(n, 10 * n, n % 2) for n in range(10)]


def test_regression_targets_are_in_their_original_units(table):
    data = table("x,y,z\n" + "".join(f"{n},{n * n},{n / 2}\n" for n in range(10)), task="regression", target="z")
    assert rows(data) == [(n, n * n, n / 2) for n in range(10)]
    assert data.splits["val"].targets.shape == (2, 1)
    assert data.splits["val"].targets.dtype == torch.float64  # large ones lose no digits
    assert (data.spec.target, data.spec.output_size, data.spec.class_names) == ("regression", 1, ())


def test_the_spec_needs_no_file():
    spec = Table(path="no/such.csv", features=7, class_names=[0, 1, 2]).spec
    assert (spec.name, spec.kind, spec.shape, spec.target) == ("table", "vector", (7,), "classification")
    assert (spec.output_size, spec.class_names) == (3, ("0", "1", "2"))
    assert Table(path="no/such.csv", features=7).spec.output_size == 1  # two classes, one logit
    assert Table(path="no/such.csv", features=7, class_names=[1, 2, 3]).spec.class_names == ("1", "2", "3")


def test_missing_numbers_become_the_mean_of_the_training_rows(table):
    text = NAMED.replace("0,0,no", "?,0,no").replace("3,30,yes", "3,NA,yes").replace("7,70,yes", "7,,yes")
    data = table(text, data_seed=4)
    train = data.splits["train"].inputs
    assert data.preprocessing.mean.tolist() == [column[~column.isnan()].mean().item() for column in train.T]
    held_out = torch.cat([data.splits["val"].inputs, data.splits["test"].inputs])
    prepared = data.prepare(held_out)
    assert (held_out.isnan().any(), prepared.isnan().any()) == (True, False)
    assert prepared[:, :2][held_out.isnan()].eq(0).all()  # the standardized mean
    assert torch.equal(prepared[:, 2:], held_out.isnan().float())  # indicators


def test_columns_have_mean_0_and_standard_deviation_1_over_the_training_rows(table):
    data = table(NAMED)
    train, test = (data.prepare(data.splits[stage].inputs).double() for stage in ("train", "test"))
    assert train.mean(0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert train.std(0, correction=0).tolist() == pytest.approx([1, 1], abs=1e-6)
    values = data.splits["train"].inputs[:, 0].tolist()
    mean = sum(values) / 6
    std = (sum((x - mean) ** 2 for x in values) / 6) ** 0.5
    expected = [(x - mean) / std for x in data.splits["test"].inputs[:, 0].tolist()]
    assert test[:, 0].tolist() == pytest.approx(expected)


def test_columns_are_not_changed_without_standardization(table):
    data = table(NAMED.replace("0,0,no", "?,0,no"), standardize=False)
    inputs = data.splits["train"].inputs
    assert torch.equal(
        data.prepare(inputs)[:, :2], torch.where(inputs.isnan(), data.preprocessing.mean, inputs).float()
    )


def test_a_constant_column_becomes_zeros(table):
    text = "x,y,answer\n" + "".join(f"{n},0.1,{'yes' if n % 2 else 'no'}\n" for n in range(10))
    assert table(text).spec.shape == (1,)  # left out
    data = table(text, columns={"y": "number"})
    assert data.prepare(data.splits["test"].inputs)[:, 1].abs().max() < 1e-6


def test_large_numbers_are_standardized_before_they_lose_digits(table):
    stamps = "".join(f"{1_700_000_000 + n},{n},{'yes' if n % 2 else 'no'}\n" for n in range(10))
    inputs = next(iter(table(f"when,y,answer\n{stamps}").train_dataloader()))[0]
    assert inputs.dtype == torch.float32
    assert torch.allclose(inputs[:, 0], inputs[:, 1], atol=1e-5)


def test_the_data_seed_changes_the_split_and_the_means_and_the_seed_does_not(table):
    first, other_seed, other = table(NAMED, seed=1), table(NAMED, seed=2), table(NAMED, data_seed=1)
    assert first.checksum() == other_seed.checksum() != other.checksum()
    assert first.preprocessing.mean.tolist() != other.preprocessing.mean.tolist()


def test_a_marker_of_missing_numbers_may_be_a_class(table):
    text = NAMED.replace("no", "0").replace("yes", "1")
    examples = rows(table(text, class_names=[], missing=["0"]))
    assert sorted(label for *_, label in examples) == [0] * 5 + [1] * 5
    assert str((math.nan, math.nan, 0)) in map(str, examples)


@pytest.fixture
def server(tmp_path):
    """Serve one file, data.csv."""
    directory = tmp_path / "served"
    directory.mkdir()
    (directory / "data.csv").write_text(NAMED)
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(directory))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/data.csv"
        server.shutdown()


def test_a_url_is_downloaded_once_and_verified(tmp_path, server):
    settings = {"features": 2, "class_names": ["no", "yes"], "dir": str(tmp_path / "data")}
    md5 = hashlib.md5(NAMED.encode()).hexdigest()
    for path in (
        server,
        server.replace("127.0.0.1", "127.0.0.2"),
    ):  # the second from disk: there is no server at this address
        data = Table(path=path, md5=md5, **settings)
        data.setup("fit")
        assert rows(data)[3] == (3, 30, 1)
    with pytest.raises(UserError, match=r"MD5"):
        Table(path=server, md5="0" * 32, **settings).setup("fit")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "https://nowhere.invalid/a.csv",
            "data.md5: a download requires the MD5 of the file, as md5sum FILE prints it",
        ),
        (
            "https://nowhere.invalid/get?id=3",
            "data.path: 'https://nowhere.invalid/get?id=3' does not end in a file name; download it manually",
        ),
    ],
)
def test_a_url_without_checksum_or_file_name_is_an_error(url, message):
    with pytest.raises(UserError) as error:
        Table(path=url, features=2, md5="" if url.endswith("csv") else "0" * 32).setup("fit")
    assert str(error.value) == message
