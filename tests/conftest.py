"""Fixtures of all tests that run the command or need real data sets."""

import logging
import os
import shutil
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


def pytest_configure() -> None:
    """Restore the signals that background processes of a shell or nohup ignore, and the processes that they start."""
    handlers = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    for name, handler in handlers.items():
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Sign runs with a key of the tests instead of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@dataclass
class Outcome:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str
    directory: Path

    @property
    def runs(self) -> list[Path]:
        """Return the directories of all runs in outputs/, oldest first."""
        return sorted((file.parent for file in self.directory.glob("outputs/**/result.json")), key=os.path.getmtime)


Command = Callable[..., Outcome]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `trainer ARGUMENTS` in an empty directory and in this process, because importing torch takes seconds."""
    root = logging.getLogger()
    # without those of earlier runs, whose captured streams are closed
    root.handlers = [item for item in root.handlers if not getattr(getattr(item, "stream", None), "closed", False)]
    handlers, level = root.handlers[:], root.level
    environment = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    environment.pop("TRAINER_DATA_DIR", None)  # tests with real data set data.dir
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
        except SystemExit as error:
            code = error.code
            if isinstance(code, str):  # Python prints it and exits with 1
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
    for name, module in [*sys.modules.items()]:  # the next test may write another module of this name
        if str(getattr(module, "__file__", None) or "").startswith(f"{tmp_path}{os.sep}"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def restored_logging() -> Iterator[None]:
    """Restore the log handlers after the tests of a module, which runs of `trainer.train` replace."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def process(tmp_path: Path) -> Command:
    """Run `trainer ARGUMENTS` in a new process; keywords are `cwd` and environment variables."""

    def run(*arguments: str, cwd: Path = tmp_path, **environment: str) -> Outcome:
        result = subprocess.run(
            [sys.executable, "-m", "trainer", *arguments],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Outcome(result.returncode, result.stdout, result.stderr, cwd)

    return run


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write `users.py`, a copy of `tests/user_module.py`, to the working directory, and trust it."""
    shutil.copyfile(REPOSITORY / "tests/user_module.py", tmp_path / "users.py")
    monkeypatch.setenv("TRAINER_TRUST", "users")


def find_data_root(file: str) -> Path:
    """Return the data directory of the environment, or skip the test if it does not contain a file."""
    root = Path(os.environ.get("TRAINER_DATA_DIR", "data"))
    if not (root / file).is_file():
        pytest.skip(f"no {file} in '{root}': set TRAINER_DATA_DIR to a data directory that contains it")
    return root.resolve()


@pytest.fixture
def as_in_a_terminal() -> Iterator[None]:
    """Restore the Ctrl-C handler, which a shell disables for background processes."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def mnist_dir() -> Path:
    """Return the data directory that contains MNIST."""
    return find_data_root("MNIST/raw/train-images-idx3-ubyte")


@pytest.fixture
def cifar10_dir() -> Path:
    """Return the data directory that contains CIFAR-10."""
    return find_data_root("cifar-10-batches-py/test_batch")


@pytest.fixture
def stocks_dir() -> Path:
    """Return the data directory that contains the prices of Google."""
    return find_data_root("stocks/GOOG.csv")


@pytest.fixture
def diabetes_dir() -> Path:
    """Return the data directory that contains the diabetes file."""
    return find_data_root("diabetes/diabetes.csv.gz")


@pytest.fixture
def imdb_dir() -> Path:
    """Return the data directory that contains the film reviews."""
    return find_data_root("aclImdb/test/neg/0_2.txt")
