"""Modules that TensorFlow, Keras, Beam and TFX import for what a run does not use: they load on first use.

TFX's launcher imports one constant from `tfx.components.evaluator`, and with it every stock component, TFMA, NLTK and the
Kubernetes client; Keras imports scikit-learn for a wrapper; Beam imports Google Cloud's clients for its connectors. Half of
a process's start went into them. A program that runs nodes calls `install` before it imports TensorFlow:

    from components import lazy_imports
    lazy_imports.install()

`import tfx.components` then makes the module without running it; the first look at one of its attributes, or the import of
one of its submodules, runs it. Nothing is missing: a pipeline with a stock component, or one that runs on Dataflow, works
as before and pays when it asks. Only modules that hand out names may be listed, never one whose import registers something
(a Beam coder, a TensorFlow op).
"""

from __future__ import annotations

import fnmatch
import importlib.abc
import importlib.machinery
import sys
import threading
import types
from collections.abc import Sequence
from typing import Any

# Each with its submodules (as patterns) that stand on their own, and may be imported without running the package.
LAZY: dict[str, tuple[str, ...]] = {
    "IPython": ("*",),  # Keras and TFDV, for a notebook's display
    "altair": (),  # GX, for charts in a notebook
    "docker": (),  # TFX's launcher, for components that are containers
    "google.cloud.bigquery": (),  # connectors of Beam and GX
    "google.cloud.pubsub": (),
    "google.cloud.secretmanager": (),
    "keras._tf_keras.keras.wrappers": (),  # scikit-learn, and with it SciPy
    "keras.wrappers": (),
    "scipy.stats": (),  # GX, for expectations about distributions
    "tensorflow_model_analysis": ("proto", "proto.*", "version"),  # the Evaluator writes its protos
    # All stock components, and through them TFMA, NLTK, kubernetes; the launcher wants a constant and a function.
    "tfx.components": ("evaluator", "evaluator.constants", "example_gen", "example_gen.utils"),
}
# Looked for in any module by the import system and by `inspect`: their absence is an answer.
_PROBED = frozenset({"__file__", "__path__", "__wrapped__"})
_STAND_IN = "_lazy_stand_in"  # in a module that was not run yet, its _Loader


def install() -> None:
    """Makes the modules of LAZY load on first use in this process; those that are loaded already stay as they are."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package = _waiting_package(fullname)
        if fullname not in LAZY and package is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader) if package is None else _AfterPackage(spec.loader, package)
        return spec


def _waiting_package(fullname: str) -> types.ModuleType | None:
    """The lazy package above a module that has to run before it, if it did not run yet."""
    for name, independent in LAZY.items():
        if not fullname.startswith(name + "."):
            continue
        package = sys.modules.get(name)
        loader = vars(package).get(_STAND_IN) if package else None
        if loader is None or loader.running:
            return None
        inner = fullname.removeprefix(name + ".")
        return None if any(fnmatch.fnmatchcase(inner, pattern) for pattern in independent) else package
    return None


class _Loader(importlib.abc.Loader):
    """Stands in for the loader of a lazy module. importlib's LazyLoader runs a package as soon as a submodule is imported."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader
        self._lock = threading.RLock()
        self.running = False

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader

        def on_missing(name: str) -> Any:
            if name not in _PROBED and self.run(module):
                return getattr(module, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        vars(module)[_STAND_IN] = self
        vars(module)["__getattr__"] = self._on_missing = on_missing

    def run(self, module: types.ModuleType) -> bool:
        """Runs the module if that was not done yet; False where this very thread is about it."""
        with self._lock:
            if _STAND_IN not in vars(module):
                return True
            if self.running:
                return False
            self.running = True
            try:
                self._loader.exec_module(module)
            finally:
                self.running = False
            del vars(module)[_STAND_IN]
            if vars(module).get("__getattr__") is self._on_missing:
                del vars(module)["__getattr__"]
            return True


class _AfterPackage(importlib.abc.Loader):
    """Loads a submodule of a lazy package, once the package has run; that may load the submodule as well."""

    def __init__(self, loader: importlib.abc.Loader, package: types.ModuleType) -> None:
        self._loader = loader
        self._package = package
        self._spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        stand_in = vars(self._package).get(_STAND_IN)
        if stand_in is not None:
            stand_in.run(self._package)
        loaded = sys.modules.get(spec.name)
        if loaded is None:
            spec.loader = self._loader
            return self._loader.create_module(spec)
        self._spec = loaded.__spec__
        return loaded

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has just put ours there
