"""Folders of images, one folder per class: the encoded bytes unchanged, and the folder's name as the label."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa

import storage
from components.ingestion.bad_rows import BadRow, ReadRows
from components.ingestion.contract import Column
from spec.errors import InputError
from spec.pictures import HEAD_BYTES, above_limit, picture_size
from spec.words import one_line

IMAGE = "image"
_BATCH_BYTES = 32 * 2**20
_FILES_AT_ONCE = 64  # held in memory together
_THREADS = 8


class _BadImage(ValueError):
    """Why an image cannot be used."""


def read_images(files: Sequence[str], columns: Sequence[Column]) -> Iterator[ReadRows]:
    """Yields `image` and, where it is among the columns, the label; `numbers` are the files' places in `files`, from 1.

    Every image is decoded once to prove that it can be, unless its header says that it is too large.

    Raises:
        InputError: the schema does not take images.
    """
    labels = [c for c in columns if c.name != IMAGE]
    _check_columns(columns, labels)
    pending: list[tuple[int, bytes]] = []
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        for first in range(0, len(files), _FILES_AT_ONCE):
            some = files[first : first + _FILES_AT_ONCE]
            bad = []
            for number, found in enumerate(pool.map(_load, some), first + 1):
                if isinstance(found, bytes):
                    pending.append((number, found))
                    if sum(len(content) for _, content in pending) >= _BATCH_BYTES:
                        yield _rows(pending, files, labels, ())
                        pending = []
                else:
                    bad.append(BadRow(number, IMAGE, str(found)))
            yield _rows(pending, files, labels, tuple(bad))
            pending = []


def unread_images(files: Sequence[str], columns: Sequence[Column]) -> pa.RecordBatch:
    """What `read_images` yields for these files, with empty bytes: nothing is opened."""
    labels = [c for c in columns if c.name != IMAGE]
    _check_columns(columns, labels)
    return _rows([(number, b"") for number in range(1, len(files) + 1)], files, labels, ()).batch


def insist_on_classes(files: Sequence[str], pattern: str) -> None:
    """Raises InputError if a class has a folder and no image."""
    folders = {file.rpartition("/")[0] for file in files}
    for above in sorted({folder.rpartition("/")[0] for folder in folders}):
        filesystem, path = storage.filesystem(above)
        for entry in filesystem.ls(path, detail=True):
            name = entry["name"].rstrip("/")
            hidden = name.rpartition("/")[2].startswith((".", "_"))
            if entry["type"] == "directory" and not hidden and filesystem.unstrip_protocol(name) not in folders:
                raise InputError(
                    f"{pattern}: the class folder {name} has no image. Add images, or remove the folder (and its class from "
                    "the label's domain in schema.pbtxt)."
                )


def _check_columns(columns: Sequence[Column], labels: Sequence[Column]) -> None:
    image = next((c for c in columns if c.name == IMAGE), None)
    if image is None or not pa.types.is_binary(image.type):
        raise InputError(
            f"format images: the schema needs a feature {IMAGE!r} of type BYTES with image_domain {{}}. "
            f"Received: {', '.join(f'{c.name} ({c.type})' for c in columns)}."
        )
    if len(labels) > 1:
        raise InputError(
            f"format images: an image folder has {IMAGE!r} and the label. Received in the schema: "
            f"{', '.join(c.name for c in columns)}. Deliver other columns as Parquet with the image's bytes."
        )


def _rows(
    loaded: Sequence[tuple[int, bytes]], files: Sequence[str], labels: Sequence[Column], bad: tuple[BadRow, ...]
) -> ReadRows:
    numbers = np.array([number for number, _ in loaded], dtype=np.int64)
    arrays = {IMAGE: pa.array([content for _, content in loaded], pa.binary())}
    for column in labels:
        names = pa.array([files[number - 1].split("/")[-2] for number in numbers], pa.string())
        try:
            arrays[column.name] = names.cast(column.type)
        except pa.ArrowInvalid as error:
            raise InputError(
                f"format images: the folders' names are the classes, and the schema says {column.type} for "
                f"{column.name!r}: {one_line(error)}. Rename the folder, or make the label BYTES."
            ) from None
    return ReadRows(pa.RecordBatch.from_pydict(arrays), numbers, bad)


def _load(url: str) -> bytes | _BadImage:
    import tensorflow as tf

    try:
        with storage.open_file(url) as file:
            content = _read(file)
        # Only decoding proves that an image is complete.
        tf.io.decode_image(content, expand_animations=False)
    except _BadImage as problem:
        return problem
    except tf.errors.InvalidArgumentError as error:
        return _BadImage(f"is corrupt: {error.message.rpartition('}} ')[2].partition(' [Op')[0][:150]}")
    return content


def _read(file: IO[bytes]) -> bytes:
    head = file.read(HEAD_BYTES)
    if not head:
        raise _BadImage("is empty (0 bytes)")
    # A JPEG's size comes after the camera's metadata; the other formats have it in their first bytes.
    content = head if (size := picture_size(head)) else head + file.read()
    size = size or picture_size(content)
    if size is None:
        raise _BadImage("is no whole JPEG, PNG, GIF, WebP or BMP image")
    if problem := above_limit(size):
        raise _BadImage(problem)
    return content if content is not head else head + file.read()
