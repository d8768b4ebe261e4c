"""In a real browser: the report opens from disk and asks nobody for anything; TensorBoard shows what it was told.

Needs Chromium on PATH and the Python package Playwright, which drives it.
"""

import shutil
import signal
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}


@pytest.fixture
def chromium():
    """A headless Chromium."""
    driver = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on PATH")
    with driver.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
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


def test_tensorboard_shows_scalars_images_hparams_and_custom_scalars(sweep, chromium):
    program = [sys.executable, "-m", "trainer", "tensorboard", str(sweep.parent), "port=0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as board:
        try:
            url = board.stdout.readline().split()[0]
            page = chromium.new_context(viewport=SIZES["desktop"]).new_page()
            asked = []
            page.on("request", lambda request: asked.append(request.url))

            def opened(tab, *texts):
                page.goto(f"{url}#{tab}")
                page.reload()
                for text in texts:
                    page.get_by_text(text, exact=True).first.wait_for(timeout=60_000)

            opened("scalars", "s/0 model=mlp seed=1", "s/3 model=cnn seed=2", "lr")
            opened("images", "test/confusion", "s/0 model=mlp seed=1")
            opened("hparams", "model", "seed", "val/loss_best", "test/accuracy", "cnn", "mlp")
            assert page.get_by_text("test/accuracy/0").count() == 0
            opened("custom_scalars", "train and val", "loss", "accuracy")
            assert [each for each in asked if not each.startswith((url, "data:", "blob:"))] == []
        finally:
            board.send_signal(signal.SIGINT)
