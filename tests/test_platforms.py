"""Functions that Windows or macOS lack are used only behind a check, with an error or another way."""

import ast
import ctypes
import os
import platform
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from trainer.config.launchers import BASIC_LAUNCHER
from trainer.core import cpu, open_files, signal_kinds
from trainer.core.atomic_write import atomic_write_text
from trainer.core.disk_space import explain_full_disk
from trainer.core.errors import UserError
from trainer.core.process_groups import require_process_groups
from trainer.reports.tensorboard_logdir import NOT_IN_FILE_NAMES, LogDirectory
from trainer.sweeps.executors.factory import create_executor
from trainer.sweeps.store import process_liveness
from trainer.sweeps.store.process_liveness import is_process_alive

SOURCE = Path(__file__).resolve().parents[1] / "src/trainer"
POSIX_NAMES = {
    "os": {"fork", "getpgid", "getuid", "killpg", "process_cpu_count", "sched_getaffinity", "setpgid", "setsid"}
    | {"statvfs", "sysconf", "uname", "mkfifo", "wait4", "openpty"},
    "signal": {"SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGQUIT", "SIGCONT", "SIGSTOP"}
    | {"pthread_kill", "pthread_sigmask", "setitimer", "sigwait", "SIG_BLOCK", "SIG_SETMASK", "SIG_UNBLOCK"},
}
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
ALL_NAMES = POSIX_MODULES.union(*POSIX_NAMES.values())
PROCESS_GROUPS = "not reached on Windows: require_process_groups"
SLURM = "not reached on Windows: submitit needs Linux"
# file -> its check, or the reason why it needs none
CHECKS = {
    "core/cpu.py": 'hasattr(os, "sched_getaffinity")',
    "core/disk_space.py": "except (OSError, AttributeError)",
    "core/memory.py": "suppress(AttributeError, ValueError, OSError)",
    "core/open_files.py": 'sys.platform == "win32"',
    "core/signal_kinds.py": 'sys.platform != "win32"',
    "core/signals.py": 'sys.platform == "win32"',
    "sweeps/executors/base.py": PROCESS_GROUPS,
    "sweeps/executors/fused.py": PROCESS_GROUPS,
    "sweeps/executors/submitit_handles.py": SLURM,
    "sweeps/executors/worker.py": PROCESS_GROUPS,
    "training/distributed/local_launcher.py": 'require_process_groups("trainer.devices", "1")',
    "training/distributed/rank_process.py": PROCESS_GROUPS,
}


def list_posix_names(tree):
    """Yield the nodes that use names of POSIX systems, and the nodes of their imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in POSIX_NAMES.get(node.value.id, ()):
                yield node
        elif isinstance(node, ast.Import) and POSIX_MODULES & {alias.name for alias in node.names}:
            yield node


def test_every_use_of_a_name_that_windows_lacks_has_a_check():
    found = {}
    for file in SOURCE.rglob("*.py"):
        text = file.read_text()
        if not any(name in text for name in ALL_NAMES):
            continue
        tree = ast.parse(text)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        inside = {id(node) for function in functions for node in ast.walk(function)}
        if nodes := [*list_posix_names(tree)]:
            name = file.relative_to(SOURCE).as_posix()
            found[name] = text
            assert all(id(node) in inside for node in nodes), f"{name}: used when the module is imported"
    assert found.keys() == CHECKS.keys()
    for name, check in CHECKS.items():
        assert check in (PROCESS_GROUPS, SLURM) or check in found[name], name
    assert "require_process_groups(f" in (SOURCE / "sweeps/executors/factory.py").read_text()


@pytest.fixture
def windows(monkeypatch):
    """Simulate Windows, for code that is called next; other libraries must have been imported."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(signal, "SIGHUP")
    for name in ("sched_getaffinity", "statvfs", "killpg"):
        monkeypatch.delattr(os, name)
    return monkeypatch


def test_on_windows_several_processes_are_an_error(windows):
    with pytest.raises(UserError) as error:
        require_process_groups("sweep.workers", "null")
    assert str(error.value) == (
        "sweep.workers: several processes need Linux or macOS; expected null\n  or use the Windows Subsystem for Linux"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"workers": 2}, "sweep.workers: several"), ({"jobs_per_gpu": 1}, "sweep.jobs_per_gpu: several")],
)
def test_a_parallel_sweep_on_windows_is_an_error(settings, message, monkeypatch):
    monkeypatch.setattr("trainer.core.process_groups.sys", SimpleNamespace(platform="win32"))
    sweep = {"workers": None, "jobs_per_gpu": None, "fuse": "auto"} | settings
    config = OmegaConf.create({"sweep": sweep, "hydra": {"launcher": {"_target_": BASIC_LAUNCHER}}})
    with pytest.raises(UserError, match=message):
        create_executor(config, None, None)


def test_windows_has_two_signals_that_stop_a_run(windows):
    assert signal_kinds.handled_signals() == [signal.SIGINT, signal.SIGTERM]
    assert not signal_kinds.is_hangup(1)


def test_cores_full_disks_and_open_files_are_known_without_functions_of_posix(windows):
    windows.setattr(os, "cpu_count", lambda: 6)
    windows.setattr(os, "process_cpu_count", lambda: 6, raising=False)
    assert cpu._count_cores() == 6
    assert explain_full_disk(OSError(28, "No space left on device", "a.txt")) == (
        "cannot write 'a.txt': No space left on device"
    )
    assert open_files.raise_open_file_limit() == float("inf")


@pytest.mark.parametrize(("handle", "status", "alive"), [(7, 259, True), (7, 0, False), (0, 259, False)])
def test_windows_asks_the_system_for_a_process_and_sends_no_signal(handle, status, alive, windows):
    class Kernel32:
        closed = None

        def OpenProcess(self, access, inherit, pid):  # noqa: N802
            assert (access, inherit, pid) == (0x1000, False, 4321)
            return handle

        def GetExitCodeProcess(self, handle, pointer):  # noqa: N802
            pointer._obj.value = status

        def CloseHandle(self, handle):  # noqa: N802
            self.closed = handle

    library = type("Library", (), {"kernel32": Kernel32()})
    windows.setattr(ctypes, "windll", library, raising=False)
    windows.setattr(os, "kill", lambda *_: pytest.fail("os.kill sends Ctrl-C on Windows"))
    assert is_process_alive(platform.node(), 4321, None, remote_default=False) is alive
    assert library.kernel32.closed == (handle or None)


@pytest.mark.parametrize(
    ("error", "alive"), [(None, True), (PermissionError("of another user"), True), (ProcessLookupError("ended"), False)]
)
def test_macos_has_no_proc_and_receives_signal_0(error, alive, monkeypatch):
    def kill(pid, number):
        assert (pid, number) == (4321, 0)
        if error:
            raise error

    monkeypatch.setattr(process_liveness, "Path", lambda name: Path("/nonexistent", name.lstrip("/")))
    monkeypatch.setattr(os, "kill", kill)
    assert is_process_alive(platform.node(), 4321, None, remote_default=False) is alive


def test_a_file_is_written_although_directories_cannot_be_opened(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError("a directory")))
    atomic_write_text(tmp_path / "a.txt", "é")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9"


def test_links_that_the_system_refuses_are_an_error_with_the_way_to_allow_them(monkeypatch, tmp_path):
    def refuse(link, target, target_is_directory):
        raise OSError(1314, "A required privilege is not held by the client")

    (tmp_path / "outputs/run/tensorboard").mkdir(parents=True)
    for name in ("config.yaml", "provenance.json"):
        (tmp_path / "outputs/run" / name).write_text("{}")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(UserError, match=r"cannot create the link .*privilege is not held .*\n  .* Developer Mode"):
        LogDirectory(tmp_path / "outputs", tmp_path).link_new_runs()


def test_names_of_links_have_no_characters_that_windows_reserves():
    assert NOT_IN_FILE_NAMES.sub("_", r'a/b\c:d*e?f"g<h>i|j=k') == "a_b_c_d_e_f_g_h_i_j=k"


def test_names_of_run_directories_contain_no_colon():
    lines = (SOURCE.parents[1] / "conf/config.yaml").read_text().splitlines()
    formats = [line.partition("${now:")[2].partition("}")[0] for line in lines if "${now:" in line]
    assert formats == ["%Y-%m-%d_%H-%M-%S", "%Y-%m-%d_%H-%M-%S"]
