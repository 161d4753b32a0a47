"""Modules that TensorFlow, Keras, Beam and TFX import for what a run does not use: they load on first use.

TFX's launcher imports one constant from `tfx.components.evaluator`, and with it every stock component, TFMA, NLTK and the
Kubernetes client; Keras imports scikit-learn for a wrapper; Beam imports Google Cloud's clients for its connectors. Half of
a process's start went into them. A program that runs nodes calls `install` before it imports TensorFlow:

    from components import lazy_imports
    lazy_imports.install()

`import tfx.components` then makes the module without running it, and the first look at one of its attributes runs it.
Nothing is missing: a pipeline with a stock component, or one that runs on Dataflow, works as before and pays when it asks.
Only modules that hand out names may be listed, never one whose import registers something (a Beam coder, a TensorFlow op).
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import threading
import types
from collections.abc import Sequence
from typing import Any

LAZY = frozenset(
    {
        "IPython",  # Keras and TFDV, for a notebook's display
        "altair",  # GX, for charts in a notebook
        "docker",  # TFX's launcher, for components that are containers
        "google.cloud.bigquery",  # connectors of Beam and GX
        "google.cloud.pubsub",
        "google.cloud.secretmanager",
        "keras._tf_keras.keras.wrappers",  # scikit-learn, and with it SciPy
        "keras.wrappers",
        "scipy.stats",  # GX, for expectations about distributions
        "tfx.components",  # all stock components, and through them TFMA, NLTK, kubernetes
    }
)
# Looked for in any module by the import system and by `inspect`: their absence is an answer.
_PROBED = frozenset({"__file__", "__path__", "__wrapped__"})


def install() -> None:
    """Makes the modules of LAZY load on first use in this process; those that are loaded already stay as they are."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in LAZY:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """Stands in for a module's loader. importlib's LazyLoader loads a package as soon as a submodule is imported."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader
        self._lock = threading.RLock()
        self._started = False

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader

        def on_missing(name: str) -> Any:
            if name not in _PROBED and self._load(module):
                return getattr(module, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__dict__["__getattr__"] = on_missing
        module.__dict__["_lazy_getattr"] = on_missing

    def _load(self, module: types.ModuleType) -> bool:
        """Runs the module; False where it is being run by this very thread."""
        with self._lock:
            ours = module.__dict__.get("_lazy_getattr")
            if ours is None:
                return True
            if self._started:
                return False
            self._started = True
            try:
                self._loader.exec_module(module)
            finally:
                self._started = False
            del module.__dict__["_lazy_getattr"]
            if module.__dict__.get("__getattr__") is ours:
                del module.__dict__["__getattr__"]
            return True
