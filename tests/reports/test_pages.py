"""Pages of `trainer report`: self-contained files of runs and sweeps."""

import base64
import json
import re

import pytest

from trainer.artifacts.run_record import RunRecord
from trainer.reports.render import render_html
from trainer.reports.run_page import build_run_page, find_best_step


@pytest.fixture
def sweep(command):
    """Run a sweep of two rates and two seeds."""
    overrides = ["data=xor", "trainer.max_epochs=3", "optimizer.lr=0.1,0.001", "seed=1,2", "hydra.sweep.dir=s"]
    outcome = command("-m", *overrides)
    assert outcome.code == 0, outcome.err
    return outcome.directory / "s"


def assert_self_contained(page):
    page = re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)  # text, of code too
    addresses = re.findall(r"""(?:\b(?:src|href|srcset|data|action)="|url\(|@import )([^")]*)""", page)
    assert addresses
    assert [address for address in addresses if not address.startswith(("data:", "#"))] == []
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"<link(?! rel=\"icon\" href=\"data:,\")", page)


def test_the_page_of_a_sweep_compares_groups_over_seeds(sweep, command):
    outcome = command("report", "s")
    assert (outcome.code, outcome.out) == (0, "s/report.html\n"), outcome.err
    page = (sweep / "report.html").read_text()
    assert_self_contained(page)
    assert "4 runs of 2 configs" in page
    assert page.count("<svg") >= 3  # intervals, training, validation
    assert "<td>baseline</td>" in page
    assert re.search(r"<td>optimizer\.lr</td><td>\d+%</td>", page)
    assert all(f"<td>optimizer.lr={lr} seed={seed}</td>" in page for lr in ("0.1", "0.001") for seed in (1, 2))
    assert len(page) < 300_000

    command("report", "s", "--metric=test/loss", "--baseline=optimizer.lr=0.001", "--to=there.md", "--markdown")
    text = (sweep.parent / "there.md").read_text()
    assert re.search(r"\| \d \| optimizer.lr=0.001 \| 2 \|.*\| baseline \|", text)
    assert "4 runs of 2 configs" in text
    assert "by test/loss" in text


@pytest.mark.slow
def test_an_axis_added_to_a_sweep_has_an_importance(command):
    overrides = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "hydra.sweep.dir=s"]
    assert command("-m", *overrides, "seed=1,2").code == 0
    assert command("sweep", "resume", "s", "model=mlp,linear", "seed=1,2").code == 0
    assert command("report", "s", "--metric=val/loss", "--markdown").code == 0
    assert re.search(
        r"^\| model\.net \| \d+% \| 33% \|$", (command("runs").directory / "s/page.md").read_text(), re.MULTILINE
    )


@pytest.mark.slow
def test_the_markdown_page_does_not_change_the_report_of_the_sweep(sweep, command):
    original = (sweep / "report.md").read_text()
    assert command("report", "s", "--markdown").out == "s/page.md\n"
    assert (sweep / "report.md").read_text() == original
    assert (sweep / "page.md").read_text().startswith("# ")


def test_the_page_of_a_run_has_curves_images_provenance_and_commands(command):
    assert command("data=digits", "trainer.max_epochs=2", "seed=7", "hydra.run.dir=r").code == 0
    assert command("report", "r").code == 0
    run = command("runs").directory / "r"
    page = (run / "report.html").read_text()
    assert_self_contained(page)
    data = {tag: uri for uri, tag in re.findall(r'src="data:image/png;base64,([^"]+)"[^>]*alt="(\S+) at step', page)}
    assert {"test/confusion_matrix", "test/predictions"} <= {*data}
    assert base64.b64decode(data["test/confusion_matrix"]).startswith(b"\x89PNG")
    result = json.loads((run / "result.json").read_text())
    assert f"SHA-256 {result['data_sha256']}" in page
    assert "trainer replay r\n" in page
    assert "trainer data=digits trainer.max_epochs=2 seed=7" in page
    assert re.search(r"training \d+\.\d s, validation \d+\.\d s, test \d+\.\d s, data, network and files", page)
    assert "train 1,257, val 180, test 360" in page
    assert "<td>Linear</td>" in page
    assert re.search(r"Calibration \(test\): ECE 0\.\d+", page)
    assert re.search(r"best val/loss: epoch 2", page)
    loss = page[page.index("<h3>loss</h3>") :]
    assert re.findall(r"</i>(\w+)", loss[: loss.index("</figure>")]) == ["train", "val", "test"]  # in one chart


def test_the_page_of_a_run_describes_its_curves_and_marks_the_best_epoch(tmp_path):
    rows = [f"{step},{10 - step if step < 5 else 5 + step},{10 - step}" for step in range(10)]
    (tmp_path / "metrics.csv").write_text("\n".join(["step,val/loss,train/loss", *rows, ""]))
    result = {"state": "finished", "metrics": {"val/loss_best": 6.0}, "steps": 10, "epochs": 10}
    (tmp_path / "result.json").write_text(json.dumps(result))
    record = RunRecord(tmp_path)
    assert find_best_step(record, record.read_metric_series()) == (4, "best val/loss: epoch 5")
    page = render_html(build_run_page(record))
    assert "while train/loss fell: overfitting" in page
    assert page.count(">best val/loss: epoch 5<") == 1


def test_the_page_of_a_run_has_the_first_rows_of_its_attribution(tmp_path):
    (tmp_path / "attribution.csv").write_text("word,decrease\n" + "<b>,0.123456\n" * 40)
    page = render_html(build_run_page(RunRecord(tmp_path)))
    assert page.count("<td>&lt;b&gt;</td><td>0.1235</td>") == 30
    assert "10 further rows: attribution.csv" in page


def test_text_of_a_run_is_escaped(command):
    command("data=xor", "trainer.max_epochs=1", "task_name='<script>alert(1)</script>'", "hydra.run.dir=r")
    assert command("report", "r").code == 0
    page = (command("runs").directory / "r/report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_page_of_a_run_has_the_stop_reason_and_metrics_that_were_not_finite(command, tmp_path):
    overrides = ("data=xor", "trainer.max_epochs=3", "hydra.run.dir=run", "callbacks=[default,early_stopping]")
    assert command(*overrides, "callbacks.early_stopping.min_delta=9", "callbacks.early_stopping.patience=1").code == 0
    result = json.loads((tmp_path / "run/result.json").read_text())
    result["not_finite_epochs"] = {"val/auroc": 2}
    (tmp_path / "run/result.json").write_text(json.dumps(result))
    assert command("report", "run").code == 0
    page = (tmp_path / "run/report.html").read_text("utf-8")
    assert "stopped early at epoch 2: val/loss did not improve for 1 epoch (best" in page
    assert "val/auroc was not finite in 2 epoch(s) and could not be compared." in page


def test_the_page_of_a_killed_or_failed_run_has_a_warning(command):
    command("data=xor", "trainer.max_epochs=2", "hydra.run.dir=r")
    run = command("runs").directory / "r"
    events = next((run / "tensorboard").glob("events*"))
    events.write_bytes(events.read_bytes()[:-37])  # half-written
    (run / "result.json").unlink()
    assert command("report", "r").code == 0
    assert 'role="alert">The run was killed: it has no result.</p>' in (run / "report.html").read_text()
    (run / "result.json").write_text('{"state": "failed", "error": "ValueError: no", "metrics": {}}')
    (run / "metrics.csv").unlink()
    assert command("report", "r").code == 0
    assert 'role="alert">The run failed: ValueError: no</p>' in (run / "report.html").read_text()


@pytest.mark.parametrize(("options", "name"), [((), "report.html"), (["--markdown"], "page.md")])
def test_a_link_in_place_of_a_report_is_replaced(command, tmp_path, options, name):
    run = tmp_path / "r"
    run.mkdir()
    (run / "config.yaml").write_text("seed: 1\n")
    (run / "provenance.json").write_text('{"overrides": []}')
    (run / "result.json").write_text('{"state": "finished", "metrics": {}}')
    (tmp_path / "mine").write_text("mine")
    (run / name).symlink_to(tmp_path / "mine")
    assert command("report", "r", *options).code == 0
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (run / name).is_symlink()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "report: the following arguments are required: directory"),
        (["nowhere"], "report: no directory 'nowhere'"),
        (["."], "no runs below '.'"),
        ([".", "--metrc=test/loss"], "report: unrecognized arguments: --metrc=test/loss; did you mean '--metric'?"),
        (["r", "--metric=test/loss"], "'r' is a single run; metric: expected a directory of runs"),
        (["r", "--to=no/such/place.html"], "cannot write 'no/such/place.html': No such file or directory"),
    ],
)
def test_an_invalid_argument_is_one_error(overrides, message, command):
    if "r" in overrides:
        command("data=xor", "trainer.max_epochs=1", "hydra.run.dir=r")
    outcome = command("report", *overrides)
    assert outcome.code == (2 if "argument" in message else 1)
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
