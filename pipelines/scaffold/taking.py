"""What to declare about files so that every command reads them as a person would: `data.read` of a new workload."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.ingestion.contract import Column
from components.ingestion.formatted_numbers import STYLES, is_number
from components.ingestion.readers import opened
from pipelines.scaffold import numberish
from pipelines.scaffold import texts as dates
from pipelines.scaffold.numberish import PLACEHOLDERS, Numberish
from pipelines.scaffold.reading import read_files
from pipelines.scaffold.sniffing import sniff
from spec.workload import PLAIN, Read

TEXTUAL = ("csv", "xlsx", "jsonl", "json")
_SHOWN = 3
_MOST_WORDS = 10_000


@dataclasses.dataclass(frozen=True)
class Taken:
    """How files are read.

    Attributes:
        reading: for workload.yaml.
        codes: columns whose digits are not numbers.
        notes: what was found out, a line each for a person.
    """

    reading: Read
    codes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def take(files: Sequence[pathlib.Path], format: str, given: Mapping[str, Any], label: str | None) -> Taken:
    """Finds out how files are written, and which texts in them are numbers or mean that a value is missing.

    Args:
        given: fields of `Read` that the user has said.

    Raises:
        InputError: a file cannot be read.
    """
    is_text = format in TEXTUAL
    reading, notes = sniff(files[0], format, given, label) if is_text else (PLAIN.model_copy(update=given), [])
    if format not in ("csv", "xlsx"):
        return Taken(reading, (), _in_one_line(notes))  # types are those of the file
    texts = _texts(files, format, reading)
    if not reading.repeated_header and (repeated := _headers_within(texts)):
        reading = reading.model_copy(update={"repeated_header": True})
        notes.append(f"the header is repeated within the data ({repeated}x) and passed over there")
        texts = _texts(files, format, reading)
    judged, codes, plain = _judge(texts, reading, given.get("decimal"), given.get("thousands"))
    places = _Places(files, format, reading, texts)
    reading = reading.model_copy(update={"decimal": given.get("decimal") or _decimal_mark(judged, codes, places)})
    if reading.decimal == "," and "decimal" not in given:
        notes.append("the decimal mark is a comma (--decimal)")
        judged = _judge(texts, reading, ",", given.get("thousands"))[0] | judged
    numbers, about = _numbers(judged, reading, places)
    about += [f"{name!r} is a code, not a number: {places.first_zero(name)!r} keeps its zero" for name in codes]
    words = {name: (*one.missing, *one.odd) for name, one in judged.items() if one.missing or one.odd}
    words |= (odd_dates := _not_dates(texts, reading, {*judged, *codes, *plain}))
    about += _odd(odd_dates, "date", places)
    words = {name: (*reading.na_values, *own) for name, own in words.items()}
    reading = reading.model_copy(update={"numbers": numbers, "na_values_by_column": words})
    return Taken(reading, codes, (*_in_one_line(notes), *about))


def _is_read(values: pa.Array, decimal: str | None) -> bool:
    """Whether Arrow reads the values as numbers; where the decimal mark is a comma, 1.234 is 1234."""
    has_point = decimal == "," and pc.any(pc.match_substring(values, ".")).as_py()
    return not has_point and is_number(values)


def _in_one_line(notes: Sequence[str]) -> tuple[str, ...]:
    return (f"Read so: {'; '.join(notes)}",) if notes else ()


def _texts(files: Sequence[pathlib.Path], format: str, reading: Read) -> pa.Table:
    """All values as they stand in the files."""
    tables = []
    for path in files:
        with opened(path, format, reading) as file:
            csv = file.csv()
            names = list(dict.fromkeys(csv.names))
            columns = [Column(name, pa.binary(), False, False) for name in names]
            if len(names) < len(csv.names):  # read_files says so
                return pa.table({})
            try:
                tables.append(csv.batches(columns, threads=True).read_all())
            except pa.ArrowInvalid:  # so does it of a row that is broken
                return pa.table({})
    try:
        whole = pa.concat_tables([table.select(tables[0].column_names) for table in tables])
    except (KeyError, pa.ArrowInvalid):
        return pa.table({})
    return pa.table({name: _decoded(whole.column(name)) for name in whole.column_names})


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:  # not UTF-8: the reader names the row
        return pa.chunked_array([pa.nulls(len(column), pa.string())])


def _headers_within(texts: pa.Table) -> int:
    if texts.num_columns < 2 or not texts.num_rows:
        return 0
    equal = [pc.equal(texts.column(name), name) for name in texts.column_names]
    both = equal[0]
    for one in equal[1:]:
        both = pc.and_(both, one)
    return pc.sum(both).as_py() or 0


def _judge(
    texts: pa.Table, reading: Read, decimal: str | None, thousands: str | None
) -> tuple[dict[str, Numberish], tuple[str, ...], tuple[str, ...]]:
    """The columns of numbers that Arrow does not recognise, those of codes, and those that Arrow recognises.

    Args:
        decimal: the mark, where it is known.
        thousands: what groups digits, where a person has said so.
    """
    styles = numberish.known_styles(decimal, thousands)
    judged: dict[str, Numberish] = {}
    codes, plain = [], []
    for name in texts.column_names:
        counted = pc.value_counts(pc.utf8_trim_whitespace(texts.column(name).combine_chunks())).flatten()
        known = pc.invert(pc.is_in(counted[0], pa.array(["", *reading.missing(name)])))
        values, counts = (array.filter(known) for array in counted)
        if not len(values):
            continue
        if numberish.is_code(values):
            codes.append(name)
        elif _is_read(values, decimal):
            plain.append(name)
        elif found := numberish.judge(values, counts, styles):
            judged[name] = found
    return judged, tuple(codes), tuple(plain)


def _decimal_mark(judged: Mapping[str, Numberish], codes: Collection[str], places: _Places) -> str:
    """The file's decimal mark: a comma where plain numbers have one, and none has a point."""
    has_commas = any(one.style == "1234,5" and one.is_plain for one in judged.values())
    return "," if has_commas and not places.has_points({*judged, *codes}) else "."


def _numbers(judged: Mapping[str, Numberish], reading: Read, places: _Places) -> tuple[dict[str, str], list[str]]:
    """The styles of the columns whose numbers Arrow does not read by itself, and notes about all that were judged."""
    numbers: dict[str, str] = {}
    notes = []
    for name, one in judged.items():
        style = _settled(one, reading.decimal)
        if not (one.is_plain and style == f"1234{reading.decimal}5"):
            numbers[name] = style
            value = numberish.to_numbers(pa.chunked_array([[one.example]]), style, ())[0].as_py()
            other = "." if reading.decimal == "," else ","
            doubt = "" if one.is_sure else f" (--decimal {other} says otherwise)"
            notes.append(f"{name!r} holds numbers: {one.example!r} is read as {value}{doubt}")
        if one.missing:
            shown = _listed(one.missing)
            notes.append(f"{name!r}: {shown} as missing")
        notes += _odd({name: one.odd}, "number", places)
    return numbers, notes


def _not_dates(texts: pa.Table, reading: Read, but: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The few values in date columns that are not dates; placeholders come last."""
    found = {}
    for name in texts.column_names:
        if name in but:
            continue
        column = pc.utf8_trim_whitespace(texts.column(name))
        known = column.filter(pc.invert(pc.is_in(column, pa.array(["", *reading.missing(name)]))))
        nothing = pc.is_in(pc.utf8_lower(known), pa.array(sorted(PLACEHOLDERS)))
        dated = known.filter(pc.invert(nothing))
        if not dates.looks_like_dates(dated):
            continue
        missing = pc.unique(known.filter(nothing)).to_pylist()
        odd = [] if dates.date_formats(dated) else dates.odd_dates(dated, numberish.MOST_ODD)[1]
        rows = pc.sum(pc.is_in(dated, pa.array(odd, pa.string()))).as_py() or 0
        if (odd or missing) and len(odd) <= numberish.MOST_ODD and rows <= numberish.ODD_SHARE * len(dated):
            found[name] = (*odd, *missing)
    return found


def _odd(values: Mapping[str, Sequence[str]], what: str, places: _Places) -> list[str]:
    """Notes about the values that do not fit the rest of their column."""
    return [
        f"{name!r}: {text!r} is no {what} ({places.of(name, text)}): read as missing. Mend it, and take it out of "
        "data.read.na_values_by_column"
        for name, texts in values.items()
        for text in [one for one in texts if one.lower() not in PLACEHOLDERS][:_SHOWN]
    ]


def _settled(one: Numberish, decimal: str) -> str:
    """A mark that could as well group thousands does group them, unless it is the file's decimal mark."""
    if one.is_sure or decimal == STYLES[one.style][0]:
        return one.style
    return {"1,234.5": "1.234,5", "1.234,5": "1,234.5", "1234,5": "1,234.5"}.get(one.style, one.style)


class _Places:
    """Where things stand in the files, and what else their texts show."""

    def __init__(self, files: Sequence[pathlib.Path], format: str, reading: Read, texts: pa.Table) -> None:
        self._files, self._format, self._reading, self._texts = files, format, reading, texts

    def of(self, name: str, text: str) -> str:
        """The rows that have a text."""
        rows = pc.indices_nonzero(pc.equal(pc.utf8_trim_whitespace(self._texts.column(name)), text)).to_pylist()
        shown = ", ".join(str(row + 1) for row in rows[:_SHOWN]) + ", ..." * (len(rows) > _SHOWN)
        if len(self._files) > 1:
            return f"row {shown} of {len(self._files)} files together"
        with opened(self._files[0], self._format, self._reading) as file:
            return f"row {shown}, line {file.csv().line(rows[0] + 1)} of the file"

    def has_points(self, but: set[str]) -> bool:
        """Whether another column has numbers with a decimal point."""
        for name in self._texts.column_names:
            if name in but:
                continue
            values = pc.unique(pc.utf8_trim_whitespace(self._texts.column(name)))
            values = values.filter(pc.invert(pc.is_in(values, pa.array(["", *PLAIN.na_values]))))
            if not len(values) or not is_number(values):
                continue
            # Of 1.234 throughout the point may as well group digits.
            pointed = values.filter(pc.match_substring(values, "."))
            if len(pointed) and not pc.all(pc.match_substring_regex(pointed, r"^[-+]?[1-9]\d{0,2}(\.\d{3})+$")).as_py():
                return True
        return False

    def first_zero(self, name: str) -> str:
        values = pc.utf8_trim_whitespace(self._texts.column(name))
        return str(values.filter(pc.match_substring_regex(values, r"^0\d"))[0].as_py())


def about_words(files: Sequence[pathlib.Path], format: str, names: Sequence[str], taken: Taken) -> list[str]:
    """What a person should know of words among the categories that do, or do not, count as missing."""
    notes = []
    bare = taken.reading.model_copy(update={"na_values": (), "na_values_by_column": {}})
    table = read_files(files, format, names, bare).select(names) if names else pa.table({})
    for name in table.column_names:
        counted = pc.value_counts(table.column(name).cast(pa.string()).combine_chunks()).flatten()
        if len(counted[0]) > _MOST_WORDS:
            continue
        rows = dict(zip(counted[0].to_pylist(), counted[1].to_pylist(), strict=True))
        words = sorted(word for word in rows if word in taken.reading.missing(name))
        others = sorted(word for word in rows if word and word.lower() in PLACEHOLDERS and word not in words)
        if name in taken.reading.na_values_by_column or not set(rows) - {*words, *others, None, ""}:
            continue
        if words:
            notes.append(
                f"{name!r}: {_listed(words)} as missing ({sum(rows[word] for word in words):,} rows). Where that is a value: "
                f"data.read.na_values_by_column: {{{name}: []}} in workload.yaml"
            )
        if others:
            count = sum(rows[word] for word in others)
            notes.append(f"{name!r}: {_listed(others)} as a value ({count:,} rows); --na-values makes it missing")
    return notes


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(map(repr, words))} {'counts' if len(words) == 1 else 'count'}"
