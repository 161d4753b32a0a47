"""Checkpoints of a training: a process that is killed costs the epoch that was under way, and no more.

Keras's own callback for this, BackupAndRestore, was not enough (docs/decisions/0011-training-on-several-devices.md): killed between
its two files it repeats an epoch with the weights of after it, and it keeps neither random state, nor history, nor the best weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import shutil
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

import storage
from components.columnar import split_files
from components.trainer._progress import Progress
from spec import environment as env
from spec.errors import InputError
from spec.splits import EVAL, TRAIN
from spec.words import one_line

_log = logging.getLogger(__name__)

_ARRAYS, _MARKER = "arrays.npz", "checkpoint.json"
_Values = list[tuple[Any, npt.NDArray[Any]]]
# Raise it when what is kept, or what it means, changes.
_FORMAT = 1
_STALE_DAYS = 7


def key(training: str, module_digest: str, schema: str, examples: str) -> str:
    """Names the training that a checkpoint belongs to: whatever decides its weights.

    Args:
        training: the configuration, as JSON.
        module_digest: of the workload's Python files.
        schema: of the model's inputs and output, as text.
        examples: URI of the transformed Examples; every byte of them counts.
    """
    sha = hashlib.sha256()
    for part in (str(_FORMAT), keras.__version__, training, module_digest, schema):
        sha.update(part.encode() + b"\0")
    for split in (TRAIN, EVAL):
        for path in split_files(examples, split):
            with path.open("rb") as file:
                sha.update(hashlib.file_digest(file, "sha256").digest())
    return sha.hexdigest()[:32]


class Checkpoints:
    """The checkpoints of one training; at most one stays.

    A checkpoint is a folder with the arrays and, written last, a marker with their digest: without it, or with another digest, it
    is none. With `remote` it is written to a scratch folder and copied.

    Args:
        folder: on this machine, of all trainings of a workload.
        key: of this training (`key()`).
        remote: a URL that fsspec can write; None: checkpoints stay in `folder`.

    Raises:
        InputError: fsspec does not know the URL's protocol.
    """

    def __init__(self, folder: pathlib.Path, key: str, remote: str | None = None) -> None:
        self._folder = folder / key
        self._remote = _Remote(remote, key) if remote else None
        _sweep(folder, key)

    def restore(self, model: keras.Model, agree: Callable[[Progress], None] = lambda progress: None) -> Progress:
        """Puts the newest checkpoint's state into a compiled model; a new `Progress` where there is none that is whole.

        Args:
            model: compiled; its variables are assigned.
            agree: told what was found before the model is changed; it may raise. Workers assign together or not at all.
        """
        found, values = self._newest(model)
        agree(found)
        for variable, value in values:
            variable.assign(value)
        return found

    def _newest(self, model: keras.Model) -> tuple[Progress, _Values]:
        for name in self._names():
            # A store that does not answer is no damage: it ends the node, which may be retried.
            self._fetch(name)
            try:
                found, arrays = self._read(name)
                values = _matched(model, found, arrays)
            except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
                _log.warning("checkpoint %s is damaged (%s); it is not used", name, one_line(error, 200))
                continue
            _log.warning("training goes on after epoch %d, from checkpoint %s", found.epochs, name)
            found.resumed_at.append(found.epochs)
            return found, values
        return Progress(), []

    def save(self, model: keras.Model, progress: Progress, write: bool = True) -> None:
        """Writes a checkpoint and removes those before it. A store that cannot be reached costs the checkpoint, not the run.

        Args:
            model: compiled, and trained for `progress.epochs` epochs.
            progress: what it has come to.
            write: False for a worker that is not the chief: it reads its variables, which may need all workers, and no more.
        """
        arrays = _arrays(model, progress)
        if not write:
            return
        name = f"epoch-{progress.epochs:05}-{uuid.uuid4().hex[:8]}"
        before = self._local_names()
        _write(self._folder / name, arrays, progress)
        for old in before:
            shutil.rmtree(self._folder / old, ignore_errors=True)
        if self._remote:
            try:
                self._remote.put(self._folder / name)
            except Exception as error:  # fsspec's file systems raise errors of their own
                _log.warning("checkpoint %s could not be copied to %s: %s", name, self._remote.uri, error)

    def clear(self) -> None:
        """Removes them all: the training is done."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._remote:
            with contextlib.suppress(Exception):
                self._remote.clear()

    def _names(self) -> list[str]:
        """Newest first."""
        return sorted({*self._local_names(), *(self._remote.names() if self._remote else ())}, reverse=True)

    def _local_names(self) -> list[str]:
        return [marker.parent.name for marker in self._folder.glob(f"epoch-*/{_MARKER}")]

    def _fetch(self, name: str) -> None:
        if self._remote and not (self._folder / name / _MARKER).exists():
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                self._remote.get(name, self._folder / name)

    def _read(self, name: str) -> tuple[Progress, dict[str, npt.NDArray[Any]]]:
        folder = self._folder / name
        marker = json.loads((folder / _MARKER).read_bytes())
        with (folder / _ARRAYS).open("rb") as file:
            arrays = hashlib.file_digest(file, "sha256").hexdigest()
        if marker["digest"] != _digest(marker["progress"], arrays):
            raise ValueError("its digest differs")
        with np.load(folder / _ARRAYS, allow_pickle=False) as kept:
            return Progress(**marker["progress"]), dict(kept)


def at(stateful_folder: str | None, key: str) -> Checkpoints:
    """The checkpoints of a training, by TFX's working folder of the execution and the environment.

    TFX gives every execution a folder of its own, and a retry is a new execution: they lie beside it instead.
    """
    folder = _scratch()
    if stateful_folder and "://" not in stateful_folder:
        folder = pathlib.Path(stateful_folder).parents[1] / "checkpoints"
    return Checkpoints(folder, key, os.environ.get(env.CHECKPOINTS))


def _scratch() -> pathlib.Path:
    return pathlib.Path(tempfile.gettempdir()) / f"trainyard-checkpoints-{os.getuid()}"


def _arrays(model: keras.Model, progress: Progress) -> dict[str, npt.NDArray[Any]]:
    arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model).items()}
    return arrays | {f"best_{i}": value for i, value in enumerate(progress.best_weights or [])}


def _variables(model: keras.Model) -> dict[str, Any]:
    """The state of random layers is among the model's."""
    named = (("model", model.variables), ("optimizer", model.optimizer.variables))
    return {f"{of}_{i}": variable for of, variables in named for i, variable in enumerate(variables)}


def _write(folder: pathlib.Path, arrays: dict[str, npt.NDArray[Any]], progress: Progress) -> None:
    folder.mkdir(parents=True)
    np.savez(folder / _ARRAYS, **arrays)  # type: ignore[arg-type]  # numpy types allow_pickle among the arrays
    with (folder / _ARRAYS).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    plain = progress.to_plain()
    partial = folder / f"{_MARKER}.partial"
    partial.write_text(json.dumps({"progress": plain, "digest": _digest(plain, digest)}))
    partial.replace(folder / _MARKER)


def _digest(progress: dict[str, Any], arrays: str) -> str:
    return hashlib.sha256(f"{_FORMAT} {json.dumps(progress, sort_keys=True)} {arrays}".encode()).hexdigest()


def _matched(model: keras.Model, progress: Progress, arrays: dict[str, npt.NDArray[Any]]) -> _Values:
    """Pairs the variables with their values, and sets `progress.best_weights`; all is looked at before anything is changed."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    weights = model.weights
    count = sum(name.startswith("best_") for name in arrays)
    variables = _variables(model)
    if {*variables} | {f"best_{i}" for i in range(count)} != {*arrays} or count not in (0, len(weights)):
        raise ValueError("it is of another model")
    values = [(variable, _as(arrays[name], variable)) for name, variable in variables.items()]
    best = [_as(arrays[f"best_{i}"], weight) for i, weight in enumerate(weights[:count])]
    progress.best_weights = best or None
    return values


def _as(array: npt.NDArray[Any], variable: Any) -> npt.NDArray[Any]:
    if tuple(array.shape) != tuple(variable.shape):
        raise ValueError(f"{variable.path} has the shape {list(variable.shape)}, not {list(array.shape)}")
    # numpy's files do not know bfloat16: it comes back as two bytes without a type.
    return array.view(keras.ops.convert_to_numpy(variable).dtype) if array.dtype.kind == "V" else array


def _sweep(folder: pathlib.Path, key: str) -> None:
    """Removes what trainings left that nobody ran again."""
    for other in folder.glob("*"):
        with contextlib.suppress(OSError):
            if other.name != key and time.time() - other.stat().st_mtime > _STALE_DAYS * 86_400:
                shutil.rmtree(other)


class _Remote:
    """The same folders below a URL."""

    def __init__(self, uri: str, key: str) -> None:
        self.uri = f"{uri.rstrip('/')}/{key}"
        try:
            self._files = storage.open_files(self.uri)
        except InputError as error:
            raise InputError(
                f"{env.CHECKPOINTS}: must be a URL that fsspec can write, e.g. s3://bucket/checkpoints. Received: {uri!r} ({error})."
            ) from error

    def names(self) -> list[str]:
        return [path.split("/")[-2] for path in self._files.files("") if path.endswith(f"/{_MARKER}")]

    def get(self, name: str, folder: pathlib.Path) -> None:
        for file in (_ARRAYS, _MARKER):
            self._files.copy_out(f"{name}/{file}", folder / file)

    def put(self, folder: pathlib.Path) -> None:
        before = self.names()
        for file in (_ARRAYS, _MARKER):  # the marker last
            self._files.copy_in(folder / file, f"{folder.name}/{file}")
        for name in before:
            self._remove(name)

    def clear(self) -> None:
        for name in self.names():
            self._remove(name)
        self._files.remove("")

    def _remove(self, name: str) -> None:
        # The marker first: what is half removed is no checkpoint.
        self._files.remove_file(f"{name}/{_MARKER}")
        self._files.remove(name)
