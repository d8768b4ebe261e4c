"""In a real browser: the report opens from disk and asks nobody for anything; TensorBoard shows what it was told.

Needs Chromium on PATH and the Python package Playwright, which drives it.
"""

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # for the projector, where there is no GPU
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}


@pytest.fixture
def chromium():
    """A headless Chromium."""
    driver = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on PATH")
    with driver.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", *WEBGL])
        yield browser
        browser.close()


@pytest.fixture
def sweep(command):
    """Four short runs."""
    words = ["data=digits", "model=mlp,cnn", "seed=1,2", "trainer.max_epochs=2", "hydra.sweep.dir=o/s"]
    outcome = command("-m", *words)
    assert outcome.code == 0, outcome.err
    return outcome.directory / "o/s"


def brightness(page):
    """Of the ground, 0 to 255."""
    return page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_from_disk_without_an_error_or_a_request(size, scheme, sweep, command, chromium):
    for folder in (sweep, sweep / "3"):
        assert command("report", str(folder)).code == 0
        page = chromium.new_context(viewport=SIZES[size], color_scheme=scheme).new_page()
        said, asked = [], []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        address = (folder / "report.html").as_uri()
        page.goto(address)
        page.wait_for_timeout(500)
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [address]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing to scroll sideways
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        assert page.evaluate("document.images.length") >= 4
        assert page.locator("figure svg path").count() > 10
        assert (brightness(page) > 200) == (scheme == "light")


@pytest.fixture
def tabs(sweep, chromium):
    """Opens a tab of TensorBoard, started on the sweep, and waits for texts on it."""
    program = [sys.executable, "-m", "trainer", "tensorboard", str(sweep.parent), "port=0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as board:
        url = board.stdout.readline().split()[0]
        page = chromium.new_context(viewport=SIZES["desktop"]).new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))

        def opened(tab, *texts):
            page.goto(f"{url}#{tab}")
            page.reload()
            for text in texts:
                page.get_by_text(text, exact=True).first.wait_for(timeout=60_000)
            page.wait_for_timeout(1000)
            keep(page, tab)
            return page

        yield opened
        assert [each for each in asked if not each.startswith((url, "data:", "blob:"))] == []
        board.terminate()  # an interrupt is ignored where tests run in the background of a script


def keep(page, name):
    """Leave a picture of a page where TRAINER_SHOTS says."""
    if "TRAINER_SHOTS" in os.environ:
        page.screenshot(path=f"{os.environ['TRAINER_SHOTS']}/{name}.png")


def test_tensorboard_shows_scalars_images_graph_and_text(tabs):
    tabs("scalars", "s/0 model=mlp seed=1", "s/3 model=cnn seed=2", "lr", "grad_norm", "steps_per_second")
    tabs("images", "test/confusion", "train/first_batch", "s/0 model=mlp seed=1")
    page = tabs("graphs", "Main Graph")
    page.locator("g.node").first.wait_for(timeout=60_000)
    assert {"inputs", "layers", "flatten"} <= {*page.locator("g.node title").all_text_contents()}
    page = tabs("text", "config/text_summary")
    page.locator("input").last.fill("classes")  # filters the tags
    page.get_by_text("test/classes/text_summary", exact=True).first.wait_for()
    page.get_by_role("columnheader", name="precision").first.wait_for(timeout=60_000)
    keep(page, "text")


def test_tensorboard_compares_runs_by_what_was_varied(tabs):
    page = tabs("hparams", "model", "seed", "val/loss_best", "test/accuracy", "cnn", "mlp")
    assert page.get_by_text("test/accuracy/0").count() == 0
    tabs("custom_scalars", "train and val", "loss", "accuracy")


def test_tensorboard_draws_precision_over_recall_of_each_class(tabs):
    page = tabs("pr_curves", "test/pr/0", "test/pr/1")
    drawn = page.locator("vz-line-chart2").first
    assert drawn.locator("path.line").count() >= 4  # of four runs


def test_the_projector_shows_digits_as_points_with_their_names(tabs):
    page = tabs("projector")
    [frame] = [frame for frame in page.frames if "projector_binary" in frame.url]
    for text in ("4 runs found", "Points: 300", "Dimension: 64"):
        frame.get_by_text(text).first.wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    keep(page, "projector")
    assert frame.locator("canvas").first.bounding_box()["width"] > 300
