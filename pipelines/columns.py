"""Checks the columns that a workload names against its schema, before anything heavy is imported.

The fields' types say which of them name a column (spec/section.py), so a new field needs no change here.
"""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Iterator
from typing import Any

from components.schema import is_ignored, left_out, read_schema
from pipelines.parameters import near
from spec import home
from spec.errors import InputError
from spec.workload import NamedColumn, Use, Workload, WorkloadError, named_columns

_MOST_NAMED = 30


def fit(workload: Workload, where: pathlib.Path) -> tuple[Workload, list[str]]:
    """The workload without its settings for columns that `data.ignore` leaves out.

    Returns:
        the workload to run, and a line for each field that is skipped.

    Raises:
        WorkloadError: a field names a column that does not exist, or one that is needed but left out; a line each.
        InputError: schema.pbtxt cannot be used.
    """
    schema = read_schema(str(home.schemas_root() / workload.name))
    known = [feature.name for feature in schema.feature]
    absent = left_out(schema, workload.data.ignore)
    named = list(named_columns(workload))
    if problems := [
        InputError(why, file=where, field=one.field)
        for one in named
        for why in _problems(one, known, absent, workload.data.ignore)
    ]:
        raise WorkloadError.of(problems)
    passed_over = [one for one in named if one.use is Use.LOOKED_AT and one.name in absent]
    notes = [f"not read, as data.ignore says: {', '.join(absent)}"] if absent else []
    notes += [f"{one.field}: {one.name!r} is not looked at, because data.ignore leaves it out" for one in passed_over]
    return _without(workload, passed_over), notes


def _problems(
    one: NamedColumn, known: Collection[str], absent: Collection[str], ignore: Collection[str]
) -> Iterator[str]:
    """What is wrong with a column that a field names, in words."""
    if one.use is Use.ASIDE:
        if one.name in known:
            yield (
                f"column {one.name!r} is in schema.pbtxt, and would be a feature. Remove it there, or name another column."
            )
    elif one.name not in known:
        if one.use is Use.OF_FILES:
            if not is_ignored(one.name, ignore):
                yield (
                    f"column {one.name!r} is neither in schema.pbtxt nor in data.ignore.{near(one.name, known)} Mend the "
                    "name, or add it to data.ignore if the files have it."
                )
            return
        shown = ", ".join(list(known)[:_MOST_NAMED]) + (", ..." if len(known) > _MOST_NAMED else "")
        yield f"schema.pbtxt has no column {one.name!r}.{near(one.name, known)} Known: {shown}."
    elif one.use is Use.NEEDED and one.name in absent:
        yield f"column {one.name!r} is left out by data.ignore, and needed here. Remove it from one of the two."


def _without(workload: Workload, passed_over: list[NamedColumn]) -> Workload:
    if not passed_over:
        return workload
    raw = workload.model_dump(mode="json")
    for one in reversed(passed_over):  # from the end, so that list positions stay valid
        section: Any = raw
        for part in one.path[:-1]:
            section = section[part]
        del section[one.path[-1]]
    return Workload.model_validate(raw)
