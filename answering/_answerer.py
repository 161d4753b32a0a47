from __future__ import annotations

import pathlib
from collections.abc import Callable

import vector_index
from answering import _litert
from spec.errors import InputError

DEFAULT = "serving_default"


def answerer(
    saved_model: pathlib.Path, entry: Callable[[str], vector_index.Entry], by_index: bool = True
) -> vector_index.Entry:
    """What answers in place of `serving_default`, or as it.

    Args:
        saved_model: folder.
        entry: the loaded SavedModel's signatures, by name; raises KeyError where there is none.
        by_index: whether an index beside the SavedModel answers, if there is one.

    Raises:
        InputError: a part of the model cannot be read, or is missing.
    """
    try:
        if (around := _litert.answering(saved_model, entry)) is not None:
            return around
        exact = entry(DEFAULT)
    except KeyError as error:
        raise InputError(
            f"{saved_model}: has no signature {error}. Export the model with Trainyard's Trainer."
        ) from None
    found = vector_index.answering(saved_model, entry) if by_index else None
    return vector_index.Entry(exact.inputs, exact.outputs, found) if found else exact
