"""The report and TensorBoard in a real browser.

Needs Chromium on PATH and the Python package Playwright, which drives it; the test of accessibility rules also
`axe-playwright-python`.
"""

import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # for the projector, where there is no GPU
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}


@pytest.fixture
def chromium():
    """Start a headless Chromium."""
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
    """Run a sweep of four short runs."""
    overrides = ["data=digits", "model=mlp,cnn", "seed=1,2", "trainer.max_epochs=2", "hydra.sweep.dir=o/s"]
    outcome = command("-m", *overrides)
    assert outcome.code == 0, outcome.err
    return outcome.directory / "o/s"


def brightness(page):
    """Return the brightness of the background, 0 to 255."""
    return page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_from_disk_without_an_error_or_a_request(size, scheme, sweep, command, chromium):
    for directory in (sweep, sweep / "3"):
        assert command("report", str(directory)).code == 0
        page = chromium.new_context(viewport=SIZES[size], color_scheme=scheme).new_page()
        messages, requests = [], []
        page.on("console", lambda message, messages=messages: messages.append(message.text))
        page.on("pageerror", lambda error, messages=messages: messages.append(str(error)))
        page.on("request", lambda request, requests=requests: requests.append(request.url))
        address = (directory / "report.html").as_uri()
        page.goto(address)
        page.wait_for_timeout(500)
        assert messages == []
        assert [url for url in requests if not url.startswith("data:")] == [address]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing to scroll sideways
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        assert page.evaluate("document.images.length") >= 4
        assert page.locator("figure svg path").count() > 10
        assert (brightness(page) > 200) == (scheme == "light")


def test_the_report_violates_no_accessibility_rule_of_axe(sweep, command, chromium):
    package = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python")
    for directory in (sweep, sweep / "3"):
        assert command("report", str(directory)).code == 0
        for viewport in SIZES.values():
            for scheme in ("light", "dark"):
                page = chromium.new_context(viewport=viewport, color_scheme=scheme).new_page()
                page.goto((directory / "report.html").as_uri())
                results = package.Axe().run(page)
                assert results.violations_count == 0, results.generate_report()
        labels = [svg.get_attribute("aria-label") for svg in page.locator("figure svg").all()]
        assert len(labels) >= 3
        assert all(label.startswith("Chart: ") for label in labels)


def test_a_printed_report_is_light_and_not_cut(sweep, command, chromium):
    assert command("report", str(sweep)).code == 0
    page = chromium.new_context(viewport={"width": 800, "height": 1100}, color_scheme="dark").new_page()
    page.goto((sweep / "report.html").as_uri())
    assert brightness(page) < 100
    page.emulate_media(media="print")
    assert brightness(page) > 200
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def open_tab(sweep, chromium):
    """Return a function that opens a tab of TensorBoard and waits for texts on it."""
    program = [sys.executable, "-m", "trainer", "tensorboard", str(sweep.parent), "--port=0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as board:
        url = board.stdout.readline().split()[0]
        # high, because TensorBoard renders no card far below the window
        page = chromium.new_context(viewport={"width": 1280, "height": 2400}).new_page()
        requests = []
        page.on("request", lambda request: requests.append(request.url))

        def open_page(tab, *texts):
            page.goto(f"{url}#{tab}")
            page.reload()
            for text in texts:
                page.get_by_text(text, exact=True).first.wait_for(timeout=60_000)
            page.wait_for_timeout(1000)
            return page

        yield open_page
        assert [request_url for request_url in requests if not request_url.startswith((url, "data:", "blob:"))] == []
        board.terminate()


def test_tensorboard_shows_scalars_images_graph_and_text(open_tab):
    page = open_tab(
        "timeseries", "s/0 model=mlp seed=1", "s/3 model=cnn seed=2", "accuracy/val", "loss/train", "loss/val"
    )
    groups = page.locator(".group-title").all_text_contents()
    assert groups[:5] == ["Pinned", "accuracy", "loss", "other", "per_class"]
    open_tab("images", "test/confusion_matrix", "train/first_batch", "s/0 model=mlp seed=1")
    page = open_tab("graphs", "Main Graph")
    page.locator("g.node").first.wait_for(timeout=60_000)
    assert {"inputs", "layers", "flatten"} <= {*page.locator("g.node title").all_text_contents()}
    page = open_tab("text", "config/text_summary")
    page.locator("input").last.fill("classes")  # filters the tags
    page.get_by_text("test/classification_report/text_summary", exact=True).first.wait_for()
    page.get_by_role("columnheader", name="precision").first.wait_for(timeout=60_000)


def test_tensorboard_compares_runs_by_what_was_varied(open_tab):
    page = open_tab("hparams", "model", "seed", "val/loss_best", "test/accuracy", "cnn", "mlp")
    assert page.get_by_text("test/accuracy/0").count() == 0
    open_tab("custom_scalars", "train and val", "loss", "accuracy")


def test_tensorboard_draws_precision_over_recall_of_each_class(open_tab):
    page = open_tab("pr_curves", "test/pr/0", "test/pr/1")
    chart = page.locator("vz-line-chart2").first
    assert chart.locator("path.line").count() >= 4  # of four runs


def test_the_projector_shows_digits_as_points_with_their_names(open_tab):
    page = open_tab("projector")
    [frame] = [frame for frame in page.frames if "projector_binary" in frame.url]
    for text in ("4 runs found", "Points: 300", "Dimension: 64"):
        frame.get_by_text(text).first.wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    assert frame.locator("canvas").first.bounding_box()["width"] > 300
