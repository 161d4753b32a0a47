"""How a file is written, guessed from its beginning: encoding, separator, header, and the lines that are not data."""

from __future__ import annotations

import codecs
import collections
import csv
import dataclasses
import io
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from components.ingestion.plain_files import blocks, plain, sheets
from spec.workload import PLAIN, Read

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_HEAD_BYTES = 2**18
_ROWS = 300  # that are looked at
_MOST_TITLES = 50  # rows ahead of a header
_NUMBER = re.compile(r"[-+(]?\W{0,2}\d[\d.,' ]*([eE][-+]?\d+)?\W{0,3}")
# A short text fits many encodings; these are the ones that spreadsheets and databases write.
_ENCODINGS = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "euc_jp", "gb18030", "big5", "cp949", "mac_roman",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Row:
    line: int  # of the file, from 1
    cells: tuple[str, ...]

    @property
    def filled(self) -> int:
        return sum(bool(cell.strip()) for cell in self.cells)


def sniff(path: pathlib.Path, format: str, given: Mapping[str, Any], label: str | None) -> tuple[Read, list[str]]:
    """Finds out how a file is written: how to read it, and what was guessed, for a person.

    Args:
        path: of the file; it speaks for the others.
        given: fields of `Read` that the user has said; they are not guessed.
        label: a column that the file has, if one is known: its name finds the header.
    """
    found = dict(given)
    notes: list[str] = []
    if "encoding" not in found and format != "xlsx" and (encoding := guess_encoding(path)) != "utf-8":
        found["encoding"] = encoding
        notes.append(f"the text is {encoding} (--encoding)")
    if format not in ("csv", "xlsx"):
        return PLAIN.model_copy(update=found), notes
    notes += _guess_sheet(path, found, label) if format == "xlsx" else []
    with plain(
        path, format, PLAIN.model_copy(update={k: v for k, v in found.items() if k in ("encoding", "sheet")})
    ) as copy:
        lines = _head(copy)
    notes += _lines_ahead(lines, found)
    if "separator" not in found and format == "csv" and (separator := _guess_separator(lines, label)) != ",":
        found["separator"] = separator
        notes.append(f"the columns are separated by {SEPARATORS.get(separator, repr(separator))} (--sep)")
    notes += _guess_comment(lines, found)
    notes += _guess_header(lines, found, label)
    return PLAIN.model_copy(update=found), notes


def guess_encoding(path: pathlib.Path) -> str:
    """By its byte order mark; else UTF-8 if all of it decodes; else by the language in which its other bytes make sense."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    odd: list[bytes] = []
    for n, block in enumerate(blocks(path)):
        if n == 0 and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if n == 0 and b"\0" in block[:4096]:
            return _without_mark(block[:4096])
        try:
            decoder.decode(block)
        except UnicodeDecodeError:
            odd = [line for line in block.splitlines() if not line.isascii()]
            break
    return _by_language(b"\n".join(odd)[:65_536]) if odd else "utf-8"


def _without_mark(head: bytes) -> str:
    """UTF-16 has zeros in every other place; a file with zeros elsewhere is not text, and the reader says so."""
    even, uneven = head[::2].count(0), head[1::2].count(0)
    if max(even, uneven) < len(head) / 8 or min(even, uneven) > max(even, uneven) / 8:
        return "utf-8"
    return "utf-16-be" if even > uneven else "utf-16-le"


def _by_language(sample: bytes) -> str:
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample, cp_isolation=_ENCODINGS).best()
    if best is None:
        return "cp1252"
    # Where both give the same letters, the encoding that Western Windows writes.
    is_same = sample.decode("cp1252", "replace") == sample.decode(best.encoding, "replace")
    return "cp1252" if is_same else str(best.encoding)


def _guess_sheet(path: pathlib.Path, found: dict[str, Any], label: str | None) -> list[str]:
    """The first sheet with the label's name in a cell; else the first that is not empty, which is read by default."""
    if "sheet" in found:
        return []
    tables = sheets(path, _MOST_TITLES)
    if len(tables) < 2:
        return []
    first = next(iter(tables))
    taken = next(
        (title for title, rows in tables.items() if any(label == cell.strip() for row in rows for cell in row)), first
    )
    if taken != first:
        found["sheet"] = taken
    return [f"of the sheets {', '.join(map(repr, tables))} the table is {taken!r} (--sheet)"]


def _head(path: pathlib.Path) -> list[str]:
    """The file's first whole lines, blank ones included."""
    with pa.input_stream(str(path)) as file:
        text = file.read(_HEAD_BYTES).decode("utf-8", "replace").removeprefix("\ufeff")
    lines = list(io.StringIO(text, newline=""))
    return lines[:-1] if len(text.encode()) >= _HEAD_BYTES - 4 and len(lines) > 1 else lines


def _lines_ahead(lines: list[str], found: dict[str, Any]) -> list[str]:
    """Excel's own line that names the separator."""
    said = re.fullmatch(r"\"?sep=(.)\"?[\r\n]*", lines[0]) if lines else None
    if said is None or "skip_rows" in found:
        return []
    found.setdefault("separator", said[1])
    found["skip_rows"] = 1
    lines[0] = "\n"
    return [f"line 1 names the separator: {said[1]!r}"]


def _rows(lines: Sequence[str], separator: str) -> list[_Row]:
    rows, line = [], 1
    reader = csv.reader(lines, delimiter=separator)
    try:
        for cells in reader:
            if cells:
                rows.append(_Row(line, tuple(cells)))
            line = reader.line_num + 1
            if len(rows) >= _ROWS:
                break
    except csv.Error:  # a quote that is never closed: the reader says where
        pass
    return rows


def _width(rows: Sequence[_Row]) -> int:
    """How many columns most rows have."""
    counts = collections.Counter(len(row.cells) for row in rows)
    return max(counts, key=lambda width: (counts[width], width)) if counts else 0


def _guess_separator(lines: Sequence[str], label: str | None) -> str:
    """The one that makes the label's name a cell, rows of one width, and many columns."""

    def fits(separator: str) -> tuple[bool, float, int]:
        rows = _rows(lines, separator)
        width = _width([row for row in rows if len(row.cells) > 1])
        is_named = any(
            any(label == cell.strip() for cell in row.cells) for row in rows[:_MOST_TITLES] if len(row.cells) > 1
        )
        return is_named, round(sum(len(row.cells) == width for row in rows) / max(1, len(rows)), 2), width

    best = max(SEPARATORS, key=fits)
    return best if fits(best)[2] > 1 else ","


def _guess_comment(lines: list[str], found: dict[str, Any]) -> list[str]:
    """Lines that begin with # and are not rows; they are blanked out, so that later guesses skip them."""
    mark = found.get("comment")
    separator = found.get("separator", ",")
    if mark is None:
        width = _width(_rows(lines, separator))
        begun = [n for n, line in enumerate(lines) if line.startswith("#")]
        if not any(len(next(csv.reader([lines[n]], delimiter=separator))) != width for n in begun):
            return []
        mark = found["comment"] = "#"
    blank = [n for n, line in enumerate(lines) if mark and line.startswith(mark)]
    for n in blank:
        lines[n] = "\n"
    return [f"lines that begin with {mark} are passed over (--comment)"] if blank else []


def _guess_header(lines: Sequence[str], found: dict[str, Any], label: str | None) -> list[str]:
    skip = found.get("skip_rows", 0)
    rows = [row for row in _rows(lines, found.get("separator", ",")) if row.line > skip]
    if not rows:
        return []
    width = _width(rows)
    if found.get("header") is False or "names" in found:
        return []
    place = _header_place(rows, width, label)
    header, rest = rows[place], rows[place + 1 :]
    notes = []
    if place and "skip_rows" not in found:
        found["skip_rows"] = header.line - 1
        what = f"line {rows[0].line} is" if place == 1 else f"{place} rows are"
        notes.append(f"{what} passed over: the table begins in line {header.line} (--skip-rows)")
    is_named = any(label == cell.strip() for cell in header.cells)
    if "header" not in found and not is_named and _looks_like_data(header, rest):
        found["header"] = False
        return [*notes, f"there is no header: the columns are called column_1 to column_{width} (--header)"]
    return notes + _names(header, found)


def _header_place(rows: Sequence[_Row], width: int, label: str | None) -> int:
    """Where the header is: the row with the label's name, else the first that is as wide as the table and well filled."""
    ahead = rows[:_MOST_TITLES]
    for place, row in enumerate(ahead):
        if any(label == cell.strip() for cell in row.cells) and len(row.cells) > width / 2:
            return place
    for place, row in enumerate(ahead):
        if row.filled > 1 and len(row.cells) > width / 2 and row.filled >= math.ceil(width / 2):
            return place
    return 0


def _looks_like_data(row: _Row, rest: Sequence[_Row]) -> bool:
    """Whether a first row has numbers where numbers follow, and nothing else there."""
    if all(re.fullmatch(r"(19|20)\d\d", cell.strip()) or not _NUMBER.fullmatch(cell.strip()) for cell in row.cells):
        return False  # years are names of columns more often than values
    numbers = 0
    for n, cell in enumerate(row.cells):
        below = [other.cells[n] for other in rest if n < len(other.cells) and other.cells[n].strip()]
        if not below or sum(bool(_NUMBER.fullmatch(one.strip())) for one in below) < 0.8 * len(below):
            continue
        if not _NUMBER.fullmatch(cell.strip()):
            return False
        numbers += 1
    return numbers > 0


def _names(header: _Row, found: dict[str, Any]) -> list[str]:
    """Names that can be told apart, where those of the header cannot."""
    cells, names = header.cells, list[str]()
    unnamed = sum(not cell.strip() for cell in cells)
    for n, cell in enumerate(cells, 1):
        name = base = cell.strip() or ("" if unnamed == 1 else f"column_{n}")
        count = 1
        while name in names:
            count += 1
            name = f"{base}_{count}"
        names.append(name)
    changed = [(cell, name) for cell, name in zip(cells, names, strict=True) if cell != name]
    if not changed:
        return []
    found["names"] = tuple(names)
    shown = ", ".join(f"{cell!r} as {name!r}" for cell, name in changed[:3]) + ", ..." * (len(changed) > 3)
    return [f"the header's names are read so that each is there once, without spaces around it: {shown}"]
