"""Late: what our dependencies import at every start, and few runs use, is imported when it is first used.

Nothing is hidden: `import torchmetrics` succeeds, and the first use of more than the light parts of it reads all of the
module into that same object, as an import does. It saves more than `import torch` takes:

- `torchmetrics` imports all its metrics, and with them torchvision (for images), scipy (for sound), matplotlib (for
  plots) and transformers (for texts), wherever these are installed. Lightning needs two classes of it, we a few more.
- `torch._dynamo`, the compiler, is imported by every optimizer, for two functions which then do nothing, by Lightning
  for one class, to ask whether a network is compiled, and by `trainer.deterministic`, to note that for the compiler.
- `torch.utils.flop_counter` brings Triton, and Lightning imports it in case somebody wants operations counted.
"""

import atexit
import gc
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

from trainer.core.signals import ctrl_c_held

METRICS, PLOTS = "torchmetrics", "torchmetrics.utilities.plot"
COMPILER, CONFIG = "torch._dynamo", "torch._inductor.config"
COUNTER = "torch.utils.flop_counter"
LATE_METRICS = (METRICS, f"{METRICS}.functional", PLOTS)
LATE_OF_TORCH = (COMPILER, "torch._inductor", CONFIG, COUNTER)
TRIED = "1.9."  # versions of torchmetrics whose light parts are known; another one is imported as a whole
# parts of torchmetrics that import one another and nothing else; whoever imports another part gets the whole first
LIGHT = ("__about__", "metric", "collections", "aggregation", "utilities", "classification", "regression")
NAMES = {"Metric": "metric", "MetricCollection": "collections", "__version__": "__about__"}  # and where they are
ASKED_OF_ALL = ("__path__", "__wrapped__", "__warningregistry__")  # by the import system, inspect and unittest

Function = Callable[..., Any]

_reading = RLock()
_left_alone: list[Callable[[ModuleType], None]] = []  # told to the compiler once it has been read


@contextmanager
def late_imports() -> Iterator[None]:
    """Import what a run needs within: from now on these modules are read when they are used.

    Meanwhile no garbage is looked for, nor later among what was imported: looking through it takes a sixth of the time.
    Ctrl-C waits until all is there: PyTorch does not bear it while it is imported. A module that is there already stays
    as it is.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        from importlib.metadata import version  # takes a while, and --help needs none of this

        sys.meta_path.insert(0, _Finder(version(METRICS).startswith(TRIED)))
    if "torch" in sys.modules or not gc.isenabled():  # a later job of a sweep, or somebody's own choice
        yield
        return
    gc.disable()
    try:
        with ctrl_c_held():
            yield
    finally:
        gc.freeze()
        if "triton" in sys.modules:  # else all of it goes with the process, which ends a second sooner
            atexit.register(gc.unfreeze)  # Triton complains of what is not collected at the end
        gc.enable()


class _Finder(MetaPathFinder):
    """Finds what Python finds, but has the late modules loaded in another way.

    Args:
        metrics: Whether torchmetrics is among them.
    """

    def __init__(self, metrics: bool) -> None:
        self.late = (*LATE_METRICS, *LATE_OF_TORCH) if metrics else LATE_OF_TORCH

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in self.late:
            spec = PathFinder.find_spec(name, path, target)
            if spec and spec.loader:
                spec.loader = _LateLoader(spec.loader)
            return spec
        for package in self.late:
            if name.startswith(f"{package}.") and not _is_light(name) and isinstance(sys.modules[package], _Late):
                _read(sys.modules[package])  # its parts rely on its having been read
                if name in sys.modules:
                    return ModuleSpec(name, _DoneLoader(sys.modules[name]))
        return None


def _is_light(name: str) -> bool:
    return name.startswith(METRICS) and name.removeprefix(METRICS).replace(".functional", "").split(".")[1] in LIGHT


class _LateLoader(Loader):
    """Makes a module and leaves its file for later."""

    def __init__(self, own: Loader) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__
        module.__loader__ = module.__spec__.loader = self.own
        if module.__name__ == COMPILER:
            vars(module).update(graph_break=_graph_break, disable=_disable, OptimizedModule=_OptimizedModule)
        if module.__name__ == COUNTER:
            vars(module).update(FlopCounterMode=_FlopCounterMode())
        module.__class__ = _Late
        if module.__name__ == METRICS:
            vars(module).update(_logger=logging.getLogger(METRICS))
            import_module(f"{METRICS}.utilities")  # first, as the light parts import one another in a circle


class _DoneLoader(Loader):
    """Hands out a module that was imported while its package was read."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class _Late(ModuleType):
    """A module whose file is read when a name is asked for that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        if name in ASKED_OF_ALL:
            raise AttributeError(name)
        if self.__name__ == METRICS and name in NAMES:
            return getattr(import_module(f"{METRICS}.{NAMES[name]}"), name)
        if self.__name__ == PLOTS and name.endswith("_TYPE"):  # stands in annotations alone
            return object
        if self.__name__ == PLOTS and name.startswith("plot_"):  # what the metrics' method `plot` calls
            return lambda *args, **more: getattr(_read(self), name)(*args, **more)
        return getattr(_read(self), name)


def _read(module: ModuleType) -> ModuleType:
    """Read the file of a late module, and of what it lies in, if that has not been done."""
    package = module.__name__.rpartition(".")[0]
    if isinstance(sys.modules.get(package), _Late):
        _read(sys.modules[package])
    with _reading:
        if isinstance(module, _Late):
            module.__class__ = ModuleType  # type: ignore[assignment]
            assert module.__spec__
            assert module.__spec__.loader
            set_before = dict(vars(module)) if module.__name__ == CONFIG else {}
            module.__spec__.loader.exec_module(module)
            for name, value in set_before.items():
                if not name.startswith("__"):
                    setattr(module, name, value)
            for tell in _left_alone if module.__name__ == COMPILER else ():
                tell(module)
    return module


def _graph_break(*_: Any, **__: Any) -> None:
    """End the graph that is being compiled: there is none as long as the compiler has not been read."""


def _disable(function: Function | None = None, *args: Any, **more: Any) -> Any:
    """A function that the compiler leaves alone, by `torch.compiler.disable` or as one of PyTorch's own."""
    if not isinstance(function, FunctionType):  # a class, or a decorator without its function
        return _read(sys.modules[COMPILER]).disable(function, *args, **more)
    called: Function = function

    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        return called(*given, **named)

    def tell(compiler: ModuleType) -> None:
        nonlocal called
        called = compiler.disable(function, *args, **more)

    _left_alone.append(tell)
    return call


class _FlopCounterMode:
    """Stands for the class of that name, for whoever has imported it in case it is needed."""

    @property
    def own(self) -> Any:
        """The class itself."""
        return _read(sys.modules[COUNTER]).FlopCounterMode

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.own(*given, **named)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self.own)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.own,)


class _Compiled(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        compiler = sys.modules[COMPILER]
        return not isinstance(compiler, _Late) and isinstance(instance, compiler.OptimizedModule)


class _OptimizedModule(metaclass=_Compiled):
    """Stands for a compiled network where Lightning asks `isinstance(network, OptimizedModule)`."""
