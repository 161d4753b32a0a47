"""What every section of workload.yaml is made of."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Distance = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Use(enum.Enum):
    """What a field does with the column that it names, and so where that column has to be."""

    NEEDED = "is read, and nothing goes without it"
    LOOKED_AT = "is looked at where it is read; `data.ignore` may leave it out"
    OF_FILES = "is in the files, whether it is read or not"
    ASIDE = "is in the files and not in schema.pbtxt, for it is no feature"


# A field that names a column has one of these types, and is then held against the schema before anything runs
# (pipelines/columns.py). A new field needs nothing else.
ColumnName = Annotated[str, Use.NEEDED]
LookedAtColumn = Annotated[str, Use.LOOKED_AT]
ColumnOfFiles = Annotated[str, Use.OF_FILES]
SplitColumn = Annotated[str, Use.ASIDE]


@dataclasses.dataclass(frozen=True)
class NamedColumn:
    """A column that a workload names.

    Attributes:
        path: of the field, `("evaluation", "slices", 0)`; where a dictionary's key names the column, it ends with the key.
        name: the column.
        use: what for.
    """

    path: tuple[str | int, ...]
    name: str
    use: Use

    @property
    def field(self) -> str:
        """The path as people write it, `evaluation.slices[0]`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).removeprefix(".")


def named_columns(section: Section, path: tuple[str | int, ...] = ()) -> Iterator[NamedColumn]:
    """Every column that a section and those within it name."""
    for name, kind in _kinds(type(section)).items():
        if name in type(section).model_fields:
            yield from _columns_in(getattr(section, name), kind, (*path, name))


@functools.cache
def _kinds(section: type[Section]) -> dict[str, Any]:
    return typing.get_type_hints(section, include_extras=True)


def _columns_in(value: Any, kind: Any, path: tuple[str | int, ...]) -> Iterator[NamedColumn]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(value, Section):
        yield from named_columns(value, path)
    elif origin is Annotated and isinstance(value, str):
        yield from (NamedColumn(path, value, use) for use in arguments[1:] if isinstance(use, Use))
    elif origin in (typing.Union, types.UnionType):
        for one in arguments:
            yield from _columns_in(value, one, path)
    elif origin is tuple and isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from _columns_in(one, arguments[0], (*path, number))
    elif origin is dict and isinstance(value, dict):
        for key, one in value.items():
            yield from _columns_in(key, arguments[0], (*path, key))
            yield from _columns_in(one, arguments[1], (*path, key))
