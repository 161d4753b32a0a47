"""Folders of images, a class each: how they are found, and how large they are."""

from __future__ import annotations

import pathlib
import statistics
from collections.abc import Sequence

import pyarrow as pa

from components.ingestion.images import IMAGE
from spec.errors import InputError
from spec.pictures import picture_size

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp"})
_SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "eval", "dev"})
_SIZES = (32, 48, 64)
_SAMPLE = 50
_SHOWN = 3


def find_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """The images of the class folders in a folder; empty where there are none.

    Raises:
        InputError: they lie in folders of splits, or beside class folders.
    """
    classes = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith((".", "_")))
    found = [path for one in classes for path in sorted(one.iterdir()) if _is_image(path)]
    if not found and any(one.name.lower() in _SPLITS for one in classes):
        names = ", ".join(one.name for one in classes)
        raise InputError(
            f"--data {folder}: has folders of splits ({names}). Name one of them; rows are divided into splits in each run."
        )
    empty = [one for one in classes if not any(_is_image(path) for path in one.iterdir())]
    if found and empty:
        raise InputError(f"--data {folder}: {empty[0].name!r} has no image. Add some, or remove the folder.")
    return found


def left_out(folder: pathlib.Path, images: Sequence[pathlib.Path]) -> list[str]:
    """A line for a person about the files below a folder that are not among its images; none where there are no such files."""
    found = {path for path in folder.rglob("[!.]*") if path.is_file()} - set(images)
    if not found:
        return []
    shown = ", ".join(str(path.relative_to(folder)) for path in sorted(found)[:_SHOWN])
    return [
        f"Left out: {len(found):,} files that are no JPEG, PNG, GIF, WebP or BMP right in a class's folder: {shown}"
        + ", ..." * (len(found) > _SHOWN)
    ]


def table_of(files: Sequence[pathlib.Path], label: str) -> pa.Table:
    """A row an image: the label, and `image`, of which nothing is read yet."""
    return pa.table({IMAGE: pa.array([b""] * len(files), pa.binary()), label: [path.parent.name for path in files]})


def working_size(files: Sequence[pathlib.Path]) -> int:
    """Height and width to bring images to: about that of the smaller ones, and no more than a CPU can cope with."""
    sizes = [picture_size(path.read_bytes()) for path in files[:: max(1, len(files) // _SAMPLE)]]
    sides = [min(size) for size in sizes if size]
    typical = statistics.median(sides) if sides else _SIZES[-1]
    return next((size for size in reversed(_SIZES) if size <= typical), _SIZES[0])


def _is_image(path: pathlib.Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
