"""Fixtures for all tests: the command run as a user runs it, and the real data where they are."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest-xdist runs a worker on each core
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, as if there were a terminal

import pytest
from hydra.core.global_hydra import GlobalHydra

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str
    directory: Path

    @property
    def runs(self) -> list[Path]:
        """The directories of all runs below outputs/, oldest first."""
        return sorted((file.parent for file in self.directory.glob("outputs/**/result.json")), key=os.path.getmtime)


Command = Callable[..., Outcome]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `trainer ARGUMENTS` in an empty directory, inside this process: importing torch anew takes seconds."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    environment = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    environment.pop("TRAINER_DATA_DIR", None)  # a test that wants the real data says data.dir
    monkeypatch.delenv("TRAINER_DATA_DIR", raising=False)

    def run(*arguments: str) -> Outcome:
        from trainer.cli.main import main

        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["trainer", *arguments])
        monkeypatch.setattr(sys, "path", sys.path[:])
        capfd.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):  # what Python itself prints, and its exit code for it
                print(code, file=sys.stderr)
                code = 1
        finally:
            os.environ.clear()
            os.environ.update(environment)
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers, root.level = handlers[:], level
        out, err = capfd.readouterr()
        assert isinstance(code, int | None)
        return Outcome(code or 0, out, err, tmp_path)

    yield run
    for name, module in [*sys.modules.items()]:  # the next test may write another one of that name
        if str(getattr(module, "__file__", None) or "").startswith(f"{tmp_path}{os.sep}"):
            del sys.modules[name]


@pytest.fixture
def process(tmp_path: Path) -> Command:
    """Run `trainer ARGUMENTS` as a process of its own; `cwd` and further variables by keyword."""

    def run(*arguments: str, cwd: Path = tmp_path, **environment: str) -> Outcome:
        answer = subprocess.run(
            [sys.executable, "-m", "trainer", *arguments],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Outcome(answer.returncode, answer.stdout, answer.stderr, cwd)

    return run


def root_with(file: str) -> Path:
    """The data root from the environment, if it holds a file; else the test is skipped, with the reason."""
    root = Path(os.environ.get("TRAINER_DATA_DIR", "data"))
    if not (root / file).is_file():
        pytest.skip(f"no {file} below '{root}': set TRAINER_DATA_DIR to a data root that has it")
    return root.resolve()


@pytest.fixture
def as_in_a_terminal() -> Iterator[None]:
    """What a shell starts in the background ignores Ctrl-C; these tests may be run so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def mnist_dir() -> Path:
    """The data root that holds the real MNIST."""
    return root_with("MNIST/raw/train-images-idx3-ubyte")


@pytest.fixture
def cifar10_dir() -> Path:
    """The data root that holds the real CIFAR-10."""
    return root_with("cifar-10-batches-py/test_batch")


@pytest.fixture
def stocks_dir() -> Path:
    """The data root that holds the real prices of Google."""
    return root_with("stocks/GOOG.csv")


@pytest.fixture
def diabetes_dir() -> Path:
    """The data root that holds the real diabetes file."""
    return root_with("diabetes/diabetes.csv.gz")


@pytest.fixture
def imdb_dir() -> Path:
    """The data root that holds the real film reviews."""
    return root_with("aclImdb/test/neg/0_2.txt")
