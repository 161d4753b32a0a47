"""The contracts of a workload held against each other: schema.pbtxt, expectations.json, waivers.yaml. No GX, no TFX."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Collection

from components.data_quality import waivers
from components.data_quality._contradictions import contradictions
from components.data_quality._format import read_format
from components.errors import InputError
from components.schema import read_schema

_MOST_NAMED = 5


def check_contract(
    suite_file: str | os.PathLike[str], schema_folder: str | os.PathLike[str], left_out: Collection[str] = ()
) -> None:
    """Holds a suite against its schema, and reads its waivers.

    Args:
        suite_file: the suite.
        schema_folder: where schema.pbtxt lies.
        left_out: columns that nobody reads; what a suite expects of them is not judged.

    Raises:
        InputError: a file is malformed, or the two cannot both hold; names file and place of each contradiction.
    """
    suite, schema = pathlib.Path(suite_file), read_schema(os.fspath(schema_folder), left_out)
    raw = read_format(suite, {feature.name for feature in schema.feature} | set(left_out))
    waivers.read_waivers(waivers.beside(suite))
    found = [f"{suite}, {where}: {why}" for where, why in contradictions(raw["expectations"], schema, left_out)]
    if found:
        more = f"; and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise InputError(f"{'; '.join(one.rstrip('.') for one in found[:_MOST_NAMED])}{more}.")
