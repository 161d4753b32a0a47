"""What there was before networks: a threshold finds the ink, and the shape of each piece of it says which digit it is."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

_SCENES = 2000  # of train; more make it no better
_BRIGHTER = 40.0  # than the ground about it: ink is
_FEWEST = 25  # pixels of a piece that is a digit
_SIDE = 16  # of a piece as it is compared


def threshold(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Masks, uint8 [N, 64, 64]; pieces of ink are told apart by logistic regression on their pixels."""
    shapes, labels = [], []
    for picture, mask in zip(_pixels(train["image"][:_SCENES]), _pixels(train["mask"][:_SCENES]), strict=True):
        for piece in _pieces(picture):
            inside = mask[piece]
            if inside.any():
                shapes.append(_shape(piece))
                labels.append(np.bincount(inside[inside > 0]).argmax())
    model = LogisticRegression(C=0.1, max_iter=200).fit(np.stack(shapes), labels)
    masks = np.zeros((len(test), *task.size), np.uint8)
    for mask, picture in zip(masks, _pixels(test["image"]), strict=True):
        for piece in _pieces(picture):
            mask[piece] = model.predict(_shape(piece)[np.newaxis])[0]
    return masks


def _pixels(column: pa.ChunkedArray) -> np.ndarray:
    """[N, H, W] of uint8."""
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in column.to_pylist()])


def _pieces(picture: np.ndarray) -> list[np.ndarray]:
    """The pixels of each piece of ink, [H, W] of bool."""
    height, width = picture.shape
    y, x = np.mgrid[:height, :width]
    plane = np.stack([np.ones_like(x), x, y], axis=-1).reshape(-1, 3).astype(float)
    values = picture.astype(float).ravel()
    ground = values < np.quantile(values, 0.8)
    for _ in range(3):  # a plane through what is no ink, as far as is known
        fitted = plane @ np.linalg.lstsq(plane[ground], values[ground], rcond=None)[0]
        ground = values - fitted < _BRIGHTER
    ink = ndimage.gaussian_filter((values - fitted).reshape(picture.shape), 0.7) > _BRIGHTER
    numbered, count = ndimage.label(ink, np.ones((3, 3)))
    found = (numbered == number for number in range(1, count + 1))
    return [piece for piece in found if piece.sum() >= _FEWEST]


def _shape(piece: np.ndarray) -> np.ndarray:
    """Its pixels, brought to one size and into the middle of a square, [256]."""
    rows, columns = np.flatnonzero(piece.any(axis=1)), np.flatnonzero(piece.any(axis=0))
    cut = piece[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(cut.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut * 255
    small = Image.fromarray(square).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32).ravel() / 255
