"""TFX's own plug-in point for file systems, over fsspec: makes its launcher at home in object stores.

TFX's launcher makes, looks for and removes folders through `tfx.dsl.io.fileio`. For s3:// and its like that would go to
TensorFlow's file systems, which know no abfs:// and need another package for s3://. Executors never come here: they see
local folders (staging.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any

from tfx.dsl.io import filesystem, filesystem_registry
from tfx.dsl.io.filesystem import PathType
from tfx.dsl.io.plugins import tensorflow_gfile  # noqa: F401  registers first; we are preferred for our schemes

from storage import filesystem as open_filesystem

SCHEMES = ("s3://", "gs://", "abfs://", "abfss://", "az://", "memory://")
_PREFERRED = 0  # TensorFlow's has 10; less is more


class ObjectStore(filesystem.Filesystem):
    """Object stores as folders. A folder exists when something lies in it; making one is no work."""

    SUPPORTED_SCHEMES = list(SCHEMES)

    @staticmethod
    def open(name: PathType, mode: str = "r") -> Any:
        store, path = _at(name)
        with _not_found():
            return store.open(path, mode)

    @staticmethod
    def copy(src: PathType, dst: PathType, overwrite: bool = False) -> None:
        store, path = _at(src)
        target = _at(dst)[1]
        if not overwrite and store.exists(target):
            raise OSError(f"{os.fsdecode(dst)} exists")
        with _not_found():
            store.cp_file(path, target)

    @staticmethod
    def exists(path: PathType) -> bool:
        store, at = _at(path)
        return bool(store.exists(at))

    @staticmethod
    def glob(pattern: PathType) -> list[PathType]:
        store, at = _at(pattern)
        return [store.unstrip_protocol(name) for name in store.glob(at)]

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
    def mkdir(path: PathType) -> None:
        """Nothing: an object's name is its folder."""

    @staticmethod
    def remove(path: PathType) -> None:
        """As in S3 it is no error if there is nothing: the launcher removes outputs that were never uploaded."""
        store, at = _at(path)
        with contextlib.suppress(FileNotFoundError):
            store.rm_file(at)

    @staticmethod
    def rename(src: PathType, dst: PathType, overwrite: bool = False) -> None:
        ObjectStore.copy(src, dst, overwrite)
        ObjectStore.remove(src)

    @staticmethod
    def rmtree(path: PathType) -> None:
        store, at = _at(path)
        with _not_found():
            store.rm(at, recursive=True)

    @staticmethod
    def stat(path: PathType) -> Any:
        store, at = _at(path)
        with _not_found():
            return store.info(at)

    @staticmethod
    def walk(
        top: PathType, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[PathType, list[PathType], list[PathType]]]:
        store, at = _at(top)
        for folder, folders, files in store.walk(at, topdown=topdown):
            yield store.unstrip_protocol(folder), list(folders), list(files)


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
