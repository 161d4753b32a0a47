"""The options of `trainyard new` that say how files are written, where its guess is wrong."""

from __future__ import annotations

import argparse
from typing import Any

from spec.errors import InputError

_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "space": " "}


def add_options(command: argparse.ArgumentParser) -> None:
    """Adds them, in a group of their own."""
    group = command.add_argument_group("how the files are written, where the guess is wrong")
    group.add_argument("--sep", metavar="CHARACTER", help="between the columns: a character, or tab")
    group.add_argument("--encoding", metavar="NAME", help="of text, e.g. cp1252, utf-16")
    group.add_argument("--decimal", choices=(".", ","), help="the decimal mark")
    group.add_argument("--thousands", choices=(",", ".", " ", "'"), help="what groups digits")
    group.add_argument(
        "--header", action=argparse.BooleanOptionalAction, help="whether the first row has the columns' names"
    )
    group.add_argument("--skip-rows", type=int, metavar="N", help="lines ahead of the header")
    group.add_argument("--comment", metavar="TEXT", help="what a line that is not data begins with")
    group.add_argument("--sheet", metavar="NAME", help="which sheet of an Excel file")
    group.add_argument(
        "--na-values", nargs="*", metavar="TEXT", help="texts that mean a missing value (NA NaN nan null NULL None)"
    )


def given(options: argparse.Namespace) -> dict[str, Any]:
    """What was said, as fields of `data.read`.

    Raises:
        InputError: a value is out of range.
    """
    import pydantic

    from spec.workload import Read

    said = {
        "separator": _NAMED.get(options.sep, options.sep),
        "encoding": options.encoding,
        "decimal": options.decimal,
        "thousands": options.thousands,
        "header": options.header,
        "skip_rows": options.skip_rows,
        "comment": options.comment,
        "sheet": options.sheet,
        "na_values": None if options.na_values is None else tuple(options.na_values),
    }
    fields = {name: value for name, value in said.items() if value is not None}
    try:
        Read(**fields)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "decimal"
        option = {"separator": "--sep"}.get(name, f"--{name.replace('_', '-')}")
        reason = first["msg"].removeprefix("Value error, ").partition(". Received")[0].rstrip(".")
        if first["type"] == "string_pattern_mismatch":
            reason = "one character is wanted, or tab" if option == "--sep" else "a short text of one line is wanted"
        raise InputError(f"{option}: {reason}. Received: {said.get(name)!r}.") from None
    return fields
