"""A file system for TFX's own plug-in point: lets its launcher work with object stores.

TFX's launcher makes, looks for and removes folders through `tfx.dsl.io.fileio`. For s3:// and its like that would go to
TensorFlow's file systems, which do not know abfs:// and need another package for s3://. Executors do not use it: they see
local folders (staging.py).
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from tfx.dsl.io import filesystem, filesystem_registry
from tfx.dsl.io.filesystem import PathType
from tfx.dsl.io.plugins import tensorflow_gfile  # noqa: F401  registers first; we are preferred for our schemes

from storage import filesystem as open_filesystem

SCHEMES = ("s3://", "gs://", "abfs://", "abfss://", "az://", "memory://")
_PREFERRED = 0  # TensorFlow's has 10; less is more


class ObjectStore(filesystem.Filesystem):
    """The calls that TFX's launcher makes. A folder exists when there is something in it, so making one does nothing."""

    SUPPORTED_SCHEMES = list(SCHEMES)

    @staticmethod
    def open(name: PathType, mode: str = "r") -> Any:
        store, path = _at(name)
        with _not_found():
            return store.open(path, mode)

    @staticmethod
    def exists(path: PathType) -> bool:
        store, at = _at(path)
        return bool(store.exists(at))

    @staticmethod
    def isdir(path: PathType) -> bool:
        store, at = _at(path)
        return bool(store.isdir(at))

    @staticmethod
    def listdir(path: PathType) -> list[PathType]:
        store, at = _at(path)
        with _not_found():
            return [name.rstrip("/").rpartition("/")[2] for name in store.ls(at, detail=False)]

    @staticmethod
    def makedirs(path: PathType) -> None:
        """Nothing: an object's name is its folder."""

    @staticmethod
    def remove(path: PathType) -> None:
        """Not an error if there is nothing, as in S3: the launcher removes outputs that were never uploaded."""
        store, at = _at(path)
        with contextlib.suppress(FileNotFoundError):
            store.rm_file(at)

    @staticmethod
    def rmtree(path: PathType) -> None:
        store, at = _at(path)
        with _not_found():
            store.rm(at, recursive=True)


def register() -> None:
    """Makes TFX use it for the schemes of object stores."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(ObjectStore, priority=_PREFERRED)


def _at(path: PathType) -> tuple[Any, str]:
    store, at = open_filesystem(os.fsdecode(path), fresh=True)
    return store, at.rstrip("/")


@contextlib.contextmanager
def _not_found() -> Any:
    try:
        yield
    except FileNotFoundError as error:
        raise filesystem.NotFoundError(str(error)) from error
