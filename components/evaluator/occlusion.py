"""What in a row spoke for the model's answer: a part of it is taken away, and the served model is asked again.

A patch of a picture takes the picture's median colour (Zeiler and Fergus, 2014, with grey), a word of a text is left out (Li, Monroe
and Jurafsky, 2016). What the part counted is how far the log-odds of the answer fall (Robnik-Sikonja and Kononenko, 2008).
docs/decisions/0039-what-counted.md says why this and not gradients or attention.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from components import pictures
from components.evaluator.contender import Contender
from components.tasks import Conviction, ShownRows, Task, Tensors, words_of
from spec.words import one_line, some_of

_PATCH, _PLACES = 4, 7  # a patch has a quarter of each side, and seven places along it
_FEWEST_WORDS = 4  # without one of three words a text is another one
_LONGEST = 448  # pixels of the longer side of an image file: it is held once for each patch
_KEY = (
    "Orange spoke for the answer and blue against it: that far the log-odds of the answer fall or rise where {parts}, "
    "on a scale of each row's own."
)


def with_what_counted(
    rows: ShownRows, task: Task, truths: np.ndarray, answers: Tensors, given: pa.RecordBatch, model: pathlib.Path
) -> ShownRows:
    """The gallery's rows, with what counted in their pictures and texts, or why that cannot be said; it never fails.

    Args:
        rows: N, as they are shown.
        task: of the model.
        truths: of the rows, [N, ...].
        answers: of the model to the rows, [N, ...] each.
        given: the rows in all columns that the model takes.
        model: SavedModel folder.
    """
    if (conviction := task.conviction(truths, answers)) is None:
        return rows
    try:
        return _asked(rows, conviction, given, model)
    except Exception as error:  # whatever an odd model or picture raises: a gallery is not worth a run
        # What is said of a row may say its values, too, and not all of them are for everyone.
        said = one_line(error, 200).rstrip(".") if set(given.schema.names) <= set(rows.batch.schema.names) else ""
        return dataclasses.replace(rows, key=f"What counted is not marked: {said or 'the model cannot be asked'}.")


def _asked(rows: ShownRows, conviction: Conviction, given: pa.RecordBatch, model: pathlib.Path) -> ShownRows:
    by_column = {row: columns for row in range(rows.batch.num_rows) if (columns := _columns(rows, row))}
    if not by_column:
        return rows
    contender = Contender(model)
    taken = [(row, one) for row, columns in by_column.items() for one in columns if one in contender.spec.features]
    if not taken:
        names = sorted({repr(one) for columns in by_column.values() for one in columns})
        return dataclasses.replace(rows, key=f"What counted is not marked: the model does not take {some_of(names)}.")
    counted, parts = {}, set()
    for row, column in taken:
        picture = rows.picture(row, column)
        one = _of_text(rows, row, column) if picture is None else _of_picture(rows, row, column, picture)
        sure = conviction(contender.predict(_changed(given, row, column, one.values)), np.full(len(one.values), row))
        mean = np.tensordot(sure[0] - sure[1:], one.taken, axes=1) / one.taken.sum(axis=0)
        if (most := np.abs(mean).max()) > 0 and np.isfinite(most):
            counted[row, column] = mean / most
            parts.add(one.words)
    key = (
        _KEY.format(parts=" or ".join(sorted(parts)))
        if counted
        else "Nothing is marked: no part alone changes an answer."
    )
    return dataclasses.replace(rows, counted=counted, key=key)


def _columns(rows: ShownRows, row: int) -> list[str]:
    """The picture of a row, or its texts where it has none."""
    if found := rows.pictured(row):
        return [found[0]]
    return [column for column, text in rows.texts(row).items() if len(words_of(text)) >= _FEWEST_WORDS]


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What is taken away from a value.

    Attributes:
        values: the whole one, then one without each part.
        taken: which pixels or words are not there without each part, [parts, H, W] or [words, words].
        words: what is done to a part.
    """

    values: Sequence[Any]
    taken: np.ndarray
    words: str


def _of_text(rows: ShownRows, row: int, column: str) -> _Parts:
    text = rows.texts(row)[column]
    spans = words_of(text)
    without = [text[:start] + text[end:] for start, end in spans]
    return _Parts([text, *without], np.eye(len(spans), dtype=bool), "a word is left out")


def _of_picture(rows: ShownRows, row: int, column: str, picture: np.ndarray) -> _Parts:
    value, pixels = rows.batch.column(column)[row].as_py(), rows.pixels.get(column)
    if pixels is None:  # a file: of any size
        picture = pictures.shrunk(picture, _LONGEST)
    patches = _patches(*picture.shape[:2])
    median = np.median(picture, axis=(0, 1)).astype(np.uint8)
    changed = [picture, *(np.where(patch[..., np.newaxis], median, picture) for patch in patches)]
    values = [pictures.value_of(one, value, pixels) for one in changed]
    return _Parts(values, patches, "a patch of the picture is covered")


def _patches(height: int, width: int) -> np.ndarray:
    """Where each patch lies, [patches, H, W] of bool; together they cover the picture."""

    def along(length: int) -> np.ndarray:
        size = -(-length // _PATCH)
        starts = np.unique(np.linspace(0, length - size, _PLACES).round().astype(int))
        here = np.arange(length)
        return np.asarray((here >= starts[:, None]) & (here < starts[:, None] + size))

    down, across = along(height), along(width)
    return (down[:, None, :, None] & across[None, :, None, :]).reshape(-1, height, width)


def _changed(given: pa.RecordBatch, row: int, column: str, values: Sequence[Any]) -> pa.RecordBatch:
    """The row as often as there are values, with each of them."""
    batch = given.take(pa.array([row] * len(values)))
    place, field = batch.schema.get_field_index(column), batch.schema.field(column)
    return batch.set_column(place, field, pa.array(values, field.type))
