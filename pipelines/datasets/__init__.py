"""Data sets that Trainyard knows how to fetch: real data to start from, laid out span by span in the landing folder.

To add one, write a module with a `DATASET` (the smallest is digits.py); it is known by its file's name.
"""

from __future__ import annotations

import errno
import importlib
import os
import pathlib
import pkgutil
import shutil

from pipelines.datasets._assets import fetch_asset
from pipelines.datasets._dataset import Dataset
from spec.errors import InputError

__all__ = ["Dataset", "dataset", "fetch_asset", "names", "prepare", "spans"]


def names() -> tuple[str, ...]:
    """The data sets that can be prepared, sorted."""
    return tuple(sorted(one.name for one in pkgutil.iter_modules(__path__) if not one.name.startswith("_")))


def dataset(name: str) -> Dataset:
    """Looks up a data set.

    Raises:
        InputError: there is none of that name.
    """
    if name not in (known := names()):
        raise InputError(f"data.dataset: there is no such data set; known: {', '.join(known)}. Received: {name!r}.")
    found: Dataset = importlib.import_module(f"pipelines.datasets.{name}").DATASET
    return found


def spans(name: str) -> range:
    """The numbers of a data set's spans, oldest first."""
    return dataset(name).spans


def prepare(name: str, span: int, folder: str | os.PathLike[str]) -> pathlib.Path:
    """Lays out one span as `<folder>/span-<span>/`, complete from the moment that it exists.

    Returns:
        The span's folder. One that is there already is left as it is.

    Raises:
        InputError: unknown data set or span, data that cannot be had or is damaged, or a full disk.
    """
    source = dataset(name)
    target = pathlib.Path(folder) / f"span-{span}"
    if target.is_dir():
        return target
    if span not in source.spans:
        known = ", ".join(str(number) for number in source.spans)
        raise InputError(f"data set {name}: there is no such span; known: {known}. Received: {span}.")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        source.write(span, unfinished)
        _publish(unfinished, target)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        raise InputError(
            f"{target}: cannot be written: {error.strerror}. Make room or point TRAINYARD_DATA to another folder."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _publish(unfinished: pathlib.Path, target: pathlib.Path) -> None:
    try:
        unfinished.rename(target)
    except OSError:
        # Another process laid out the same span meanwhile; spans are deterministic, so its files are as good as ours.
        if not target.is_dir():
            raise
