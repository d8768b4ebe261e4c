"""Deferred execution of modules that dependencies import at every start and few runs use.

`import torchmetrics` succeeds, and the first use of an attribute that is not lightweight executes the module in the
same object. This saves more time than `import torch` takes:

- `torchmetrics` imports all its metrics, and with them torchvision, scipy, matplotlib and transformers if they are
  installed. Lightning needs two classes of it, this project a few more.
- `torch._dynamo`, the compiler, is imported by every optimizer for two functions that do nothing without a compiled
  network, by Lightning for one `isinstance` check, and by `trainer.deterministic`, which sets a flag of it.
- `torch.utils.flop_counter` imports Triton; Lightning imports it for an optional count of operations.
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

from trainer.core.compat import is_tested
from trainer.core.signals import block_sigint

TORCHMETRICS = "torchmetrics"
TORCHMETRICS_PLOT = "torchmetrics.utilities.plot"
DYNAMO = "torch._dynamo"
INDUCTOR_CONFIG = "torch._inductor.config"
FLOP_COUNTER = "torch.utils.flop_counter"
LAZY_TORCHMETRICS_MODULES = (TORCHMETRICS, f"{TORCHMETRICS}.functional", TORCHMETRICS_PLOT)
LAZY_TORCH_MODULES = (DYNAMO, "torch._inductor", INDUCTOR_CONFIG, FLOP_COUNTER)
# submodules of torchmetrics that import only one another; any other submodule needs the complete package
LIGHTWEIGHT_SUBMODULES = ("__about__", "metric", "collections", "utilities", "classification", "regression")
LIGHTWEIGHT_EXPORTS = {"Metric": "metric", "MetricCollection": "collections", "__version__": "__about__"}
PROBED_ATTRIBUTES = ("__path__", "__wrapped__", "__warningregistry__")  # by the import system, inspect and unittest

Function = Callable[..., Any]

_load_lock = RLock()
_dynamo_load_callbacks: list[Callable[[ModuleType], None]] = []  # called with the compiler after it has been loaded


@contextmanager
def lazy_imports() -> Iterator[None]:
    """Import the packages of a run in the block; the lazy modules among them are loaded when they are used.

    The garbage collector is off in the block and ignores the imported objects later, which saves a sixth of the time.
    Ctrl-C is delayed, as PyTorch cannot be interrupted during its import. Modules already imported are not affected.
    """
    if not any(isinstance(finder, _LazyFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LazyFinder())
    if "torch" in sys.modules or not gc.isenabled():  # a later job of a sweep, or the collector was off
        yield
        return
    gc.disable()
    try:
        with block_sigint():
            yield
    finally:
        gc.freeze()  # the objects are freed with the process, which exits a second sooner
        if "triton" in sys.modules:
            atexit.register(gc.unfreeze)  # Triton prints errors about objects that were not collected
        gc.enable()


class _LazyFinder(MetaPathFinder):
    """Finder that replaces the loader of the lazy modules, if their versions are tested ones."""

    def __init__(self) -> None:
        torch_modules = LAZY_TORCH_MODULES if is_tested("torch", "pytorch-lightning") else ()
        self.lazy_modules = torch_modules + (LAZY_TORCHMETRICS_MODULES if is_tested(TORCHMETRICS) else ())

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in self.lazy_modules:
            spec = PathFinder.find_spec(name, path, target)
            if spec and spec.loader:
                spec.loader = _LazyLoader(spec.loader)
            return spec
        for package in self.lazy_modules:
            if (
                name.startswith(f"{package}.")
                and not _is_lightweight(name)
                and isinstance(sys.modules[package], _LazyModule)
            ):
                _load_module(sys.modules[package])  # submodules need the loaded package
                if name in sys.modules:
                    return ModuleSpec(name, _LoadedModuleLoader(sys.modules[name]))
        return None


def _is_lightweight(name: str) -> bool:
    return (
        name.startswith(TORCHMETRICS)
        and name.removeprefix(TORCHMETRICS).replace(".functional", "").split(".")[1] in LIGHTWEIGHT_SUBMODULES
    )


class _LazyLoader(Loader):
    """Loader that creates a module without executing its file."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__
        module.__loader__ = module.__spec__.loader = self.loader
        if module.__name__ == DYNAMO:
            vars(module).update(graph_break=_graph_break, disable=_disable, OptimizedModule=_OptimizedModule)
        if module.__name__ == FLOP_COUNTER:
            vars(module).update(FlopCounterMode=_FlopCounterMode())
        module.__class__ = _LazyModule
        if module.__name__ == TORCHMETRICS:
            vars(module).update(_logger=logging.getLogger(TORCHMETRICS))
            import_module(f"{TORCHMETRICS}.utilities")  # first, because the lightweight submodules import in a circle


class _LoadedModuleLoader(Loader):
    """Loader that returns a module imported while its package was loaded."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class _LazyModule(ModuleType):
    """Module that executes its file when a missing attribute is read."""

    def __getattr__(self, name: str) -> Any:
        if name in PROBED_ATTRIBUTES:
            raise AttributeError(name)
        if self.__name__ == TORCHMETRICS and name in LIGHTWEIGHT_EXPORTS:
            return getattr(import_module(f"{TORCHMETRICS}.{LIGHTWEIGHT_EXPORTS[name]}"), name)
        if self.__name__ == TORCHMETRICS_PLOT and name.endswith("_TYPE"):  # used in annotations only
            return object
        if self.__name__ == TORCHMETRICS_PLOT and name.startswith("plot_"):  # called by the method `plot` of metrics
            return lambda *args, **kwargs: getattr(_load_module(self), name)(*args, **kwargs)
        return getattr(_load_module(self), name)


def _load_module(module: ModuleType) -> ModuleType:
    """Execute the file of a lazy module and of its packages, unless that has been done."""
    package = module.__name__.rpartition(".")[0]
    if isinstance(sys.modules.get(package), _LazyModule):
        _load_module(sys.modules[package])
    with _load_lock:
        if isinstance(module, _LazyModule):
            module.__class__ = ModuleType  # type: ignore[assignment]
            assert module.__spec__
            assert module.__spec__.loader
            assigned = dict(vars(module)) if module.__name__ == INDUCTOR_CONFIG else {}  # settings to keep
            module.__spec__.loader.exec_module(module)
            for name, value in assigned.items():
                if not name.startswith("__"):
                    setattr(module, name, value)
            for callback in _dynamo_load_callbacks if module.__name__ == DYNAMO else ():
                callback(module)
    return module


def _graph_break(*_: Any, **__: Any) -> None:
    """Do nothing: without the compiler there is no graph to break."""


def _disable(function: Function | None = None, *args: Any, **kwargs: Any) -> Any:
    """Return a function that `torch.compiler.disable` wraps as soon as the compiler is loaded."""
    if not isinstance(function, FunctionType):  # a class, or a decorator without its function
        return _load_module(sys.modules[DYNAMO]).disable(function, *args, **kwargs)
    target: Function = function

    @wraps(function)
    def call(*call_args: Any, **call_kwargs: Any) -> Any:
        return target(*call_args, **call_kwargs)

    def disable(compiler: ModuleType) -> None:
        nonlocal target
        target = compiler.disable(function, *args, **kwargs)

    _dynamo_load_callbacks.append(disable)
    return call


class _FlopCounterMode:
    """Stand-in for the class of the same name, which is loaded at the first use."""

    @property
    def original(self) -> Any:
        return _load_module(sys.modules[FLOP_COUNTER]).FlopCounterMode

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.original(*args, **kwargs)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self.original)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.original,)


class _OptimizedModuleMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        compiler = sys.modules[DYNAMO]
        return not isinstance(compiler, _LazyModule) and isinstance(instance, compiler.OptimizedModule)


class _OptimizedModule(metaclass=_OptimizedModuleMeta):
    """Stand-in for `OptimizedModule` in the `isinstance` checks of Lightning."""
