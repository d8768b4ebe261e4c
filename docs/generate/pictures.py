"""Generator of the screenshots in docs/reports.md, from real runs in a real browser.

    make pictures

Needs Chromium on PATH, and the package playwright: `pip install playwright`.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).resolve().parents[1] / "pictures"
SWEEP = ["-m", "data=digits", "model=mlp,cnn", "seed=1,2", "trainer.max_epochs=5", "hydra.sweep.dir=runs/sweep"]
WIDTH_PIXELS = 1280
WAIT_MILLISECONDS = 60_000
# name of the picture, and of the tab: a text to wait for, and the height in pixels
TABS = {
    "time_series": ("timeseries", "loss/val", 800),
    "hparams": ("hparams", "val/accuracy", 420),
    "custom_scalars": ("custom_scalars", "accuracy", 670),
    "pr_curves": ("pr_curves", "test/pr/0", 800),
    "images": ("images", "test/confusion_matrix", 800),
    "projector": ("projector", "", 800),
}
REPORTS = {"report": ("runs/sweep", 1350), "run_report": ("runs/sweep/3", 1500)}
WEBGL = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # for the projector without a GPU


def run_trainer(*arguments: str, directory: Path) -> None:
    """Run the command in a directory.

    Raises:
        CalledProcessError: The command failed.
    """
    subprocess.run([sys.executable, "-m", "trainer", *arguments], cwd=directory, check=True)


@contextmanager
def open_page() -> Iterator[Page]:
    """Open a headless browser with an empty page."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("no Chromium on PATH")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=WEBGL)
        yield browser.new_page(viewport={"width": WIDTH_PIXELS, "height": 800}, color_scheme="light")
        browser.close()


def save_screenshot(page: Page, name: str, height: int) -> None:
    """Write a picture of the upper part of a page, with 256 colors."""
    page.set_viewport_size({"width": WIDTH_PIXELS, "height": height})
    page.wait_for_timeout(2000)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(256).save(PICTURES / f"{name}.png", optimize=True)


def draw_reports(page: Page, directory: Path) -> None:
    """Write the pictures of the pages of a sweep and of a run."""
    for name, (path, height) in REPORTS.items():
        run_trainer("report", path, directory=directory)
        page.goto((directory / path / "report.html").as_uri())
        save_screenshot(page, name, height)


def draw_tabs(page: Page, directory: Path) -> None:
    """Write the pictures of the tabs of TensorBoard."""
    program = [sys.executable, "-m", "trainer", "tensorboard", "runs", "--port=0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=directory) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        for name, (tab, text, height) in TABS.items():
            page.goto(f"{url}#{tab}")
            page.reload()
            if text:
                page.get_by_text(text, exact=True).first.wait_for(timeout=WAIT_MILLISECONDS)
            else:
                page.wait_for_timeout(15_000)
            save_screenshot(page, name, height)
        server.terminate()


def main() -> None:
    """Run a sweep in a temporary directory and write all pictures."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    with tempfile.TemporaryDirectory() as temporary, open_page() as page:
        directory = Path(temporary)
        run_trainer(*SWEEP, directory=directory)
        draw_reports(page, directory)
        draw_tabs(page, directory)


if __name__ == "__main__":
    main()
