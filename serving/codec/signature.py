"""The inputs and outputs of a SavedModel's signatures, and the values that mean "missing"."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

FEATURES_FILE = "assets.extra/trainyard.json"

# The values that mean "missing" to the exported model; the transform graph converts them back.
SENTINELS: dict[str, Any] = {"float32": math.nan, "int64": -(2**63), "string": b""}


@dataclasses.dataclass(frozen=True)
class Feature:
    """A raw feature, as described in `assets.extra/trainyard.json`.

    Attributes:
        shape: of one row; () for a scalar.
        nullable: whether a request may leave it out.
        input: its name in `serving_default` if the column's name is not an identifier; empty: the column's name.
        personal: whether the schema marks it as personal data; such a column is never recorded.
        na_values: texts that meant "missing" in the training data, besides the empty one.
        is_date: whether its texts are ISO 8601 dates.
        booleans: the texts for false and true, if requests may use JSON's booleans.
    """

    dtype: str
    shape: tuple[int, ...]
    nullable: bool
    input: str = ""
    personal: bool = False
    na_values: tuple[str, ...] = ()
    is_date: bool = False
    booleans: tuple[str, ...] = ()

    @property
    def missing_texts(self) -> frozenset[bytes]:
        return frozenset(text.encode() for text in ("", *self.na_values))


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """One input or output of a signature.

    Attributes:
        dtype: NumPy's; object for strings.
        shape: the leading dimension is the batch; None: any size. None as a whole: any rank.
        nullable: whether it may be left out.
        feature: its description; None: there is none, and any value is accepted.
        column: the column's own name if TensorFlow does not accept it as an input's name; a request may use either.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None
    nullable: bool = False
    feature: Feature | None = None
    column: str = ""

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return self.column or self.name

    @property
    def is_date(self) -> bool:
        return self.feature is not None and self.feature.is_date

    @property
    def booleans(self) -> tuple[str, ...]:
        """The texts for false and true, if requests may use JSON's booleans."""
        return self.feature.booleans if self.feature is not None else ()

    @functools.cached_property
    def is_string(self) -> bool:
        return self.dtype.kind == "O"

    @functools.cached_property
    def type_name(self) -> str:
        return "string" if self.is_string else str(self.dtype)

    @property
    def row_shape(self) -> tuple[int | None, ...] | None:
        return None if self.shape is None else self.shape[1:]

    @property
    def sentinel(self) -> Any:
        return SENTINELS[self.type_name]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether a tensor of this shape fits."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            want in (None, n) for want, n in zip(self.shape, shape, strict=True)
        )


@dataclasses.dataclass(frozen=True)
class Description:
    """What Trainyard says of a model that it has exported; empty of one that it has not.

    Attributes:
        features: its raw features, by column.
        classes: in the order of its probabilities.
        rows_at_once: how many rows take little memory, where the model makes much of a row, as of a JPEG; 0: any number.
    """

    features: Mapping[str, Feature] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] = ()
    rows_at_once: int = 0


def read_description(folder: pathlib.Path) -> Description:
    """The description beside a SavedModel."""
    try:
        raw: Mapping[str, Any] = json.loads((folder / FEATURES_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Description()
    return Description(
        _features(raw.get("features", {})), tuple(raw.get("classes", ())), int(raw.get("rows_at_once", 0))
    )


def _features(raw: Mapping[str, Any]) -> dict[str, Feature]:
    return {
        name: Feature(
            str(said["dtype"]),
            tuple(said.get("shape", ())),
            bool(said.get("nullable", False)),
            said.get("input", ""),
            bool(said.get("personal", False)),
            tuple(said.get("na_values", ())),
            bool(said.get("time_format")),
            tuple(said.get("booleans", ())),
        )
        for name, said in raw.items()
    }


def show_shape(shape: tuple[int | None, ...] | None) -> str:
    """A shape in words, e.g. `[?, 64]`; "any" if it is unknown."""
    return "any" if shape is None else "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"
