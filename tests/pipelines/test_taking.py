"""`trainyard new` on files as people have them: what it finds out, and that a run then reads what it read."""

from __future__ import annotations

import datetime
import gzip
import itertools
import json
import pathlib
from typing import Any

import openpyxl
import pytest

from pipelines.scaffold.reading import read_files
from pipelines.scaffold.taking import Taken, about_words, take
from spec.errors import InputError
from spec.workload import Read

ROWS = 60
COLOURS = ["rot", "grün", "bläulich"]


def rows(decimal: str = ".") -> list[list[str]]:
    return [
        [f"{n % 7}.{n % 10}5".replace(".", decimal), str(n % 12), COLOURS[n % 3], "ja" if n % 2 else "nein"]
        for n in range(ROWS)
    ]


def text(separator: str = ",", decimal: str = ".", header: str = "a b c y", end: str = "\n") -> str:
    lines = [header.split(" "), *rows(decimal)] if header else rows(decimal)
    return "".join(separator.join(f'"{v}"' if separator in v else v for v in line) + end for line in lines)


def write(path: pathlib.Path, content: str | bytes) -> pathlib.Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def taken(
    path: pathlib.Path, format: str = "csv", label: str = "y", **given: Any
) -> tuple[Taken, dict[str, list[Any]]]:
    found = take([path], format, given, label)
    return found, read_files([path], format, found.codes, found.reading).to_pydict()


def declared(reading: Read) -> dict[str, Any]:
    return {name: value for name, value in vars(reading).items() if value != getattr(Read(), name)}


EXPECTED = {
    "a": [float(row[0]) for row in rows()],
    "b": [int(row[1]) for row in rows()],
    "c": [row[2] for row in rows()],
    "y": [row[3] for row in rows()],
}


@pytest.mark.parametrize(
    ("separator", "encoding"),
    list(itertools.product(",;\t|", ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"))),
)
def test_every_separator_in_every_encoding(tmp_path: pathlib.Path, separator: str, encoding: str) -> None:
    for decimal, end in ((".", "\n"), (",", "\r\n")):
        content = text(separator, decimal, end=end).encode(encoding)
        found, table = taken(write(tmp_path / "a.csv", content))
        assert table == EXPECTED, declared(found.reading)
        assert (found.reading.separator, found.reading.decimal) == (separator, decimal)
        assert len(found.notes) <= 1  # what was guessed is one line
        _, table = taken(write(tmp_path / "b.csv.gz", gzip.compress(content)))
        assert table == EXPECTED


def test_two_columns_with_a_mark_that_could_separate(tmp_path: pathlib.Path) -> None:
    lines = "".join(f"0.5;{n % 9 + 1}.234,50\n" for n in range(ROWS))
    found, table = taken(write(tmp_path / "a.csv", "a;y\n" + lines))
    assert found.reading.separator == ";" and table["y"][:2] == [1234.5, 2234.5]


def test_where_the_mark_is_a_comma_a_point_groups_digits(tmp_path: pathlib.Path) -> None:
    lines = "".join(f"{n % 9}.{n:03};0,{n}5;{n % 9 + 1}.{n:03}\n".replace("0.", "9.", 1) for n in range(ROWS))
    found, table = taken(write(tmp_path / "a.csv", "a;b;y\n" + lines))
    assert found.reading.decimal == "," and table["b"][1] == 0.15
    assert table["a"][1] == 1001 and table["y"][2] == 3002
    path = write(tmp_path / "b.csv", "a;y\n" + "".join(f"{n % 9 + 1}.{n:03};p\n" for n in range(ROWS)))
    assert taken(path)[1]["a"][1] == 2.001
    assert taken(path, decimal=",", thousands=".")[1]["a"][1] == 2001


def test_other_languages_are_guessed(tmp_path: pathlib.Path) -> None:
    for language, encoding in (("Москва привет мир", "cp1251"), ("東京は大きい町です", "shift_jis")):
        content = text().replace("bläulich", language).replace("grün", language[::-1])
        _, table = taken(write(tmp_path / "a.csv", content.encode(encoding)))
        assert table["c"][2] == language


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        ("sep=;\n", {"separator": ";", "skip_rows": 1}),
        ("Report\n\n", {"separator": ";", "skip_rows": 2}),
        ("Report 2026;;;\nby hand, and late;;;\n", {"separator": ";", "skip_rows": 2}),
        ("# exported\n# by hand\n", {"separator": ";", "comment": "#"}),
    ],
)
def test_what_stands_ahead_of_the_header(tmp_path: pathlib.Path, ahead: str, expected: dict[str, Any]) -> None:
    found, table = taken(write(tmp_path / "a.csv", ahead + text(";")))
    assert table == EXPECTED and declared(found.reading) == expected


def test_headers_that_are_none_or_several(tmp_path: pathlib.Path) -> None:
    found, table = taken(write(tmp_path / "a.csv", text(header="")), label="column_4")
    assert list(table.values()) == list(EXPECTED.values()) and declared(found.reading) == {"header": False}
    header, body = text().split("\n", 1)
    found, table = taken(write(tmp_path / "b.csv", f"{header}\n{body}{header}\n{body}"))
    assert declared(found.reading) == {"repeated_header": True} and len(table["y"]) == 2 * ROWS
    found, table = taken(write(tmp_path / "c.csv", f" a,a,,y\n{body}"))
    assert list(table) == ["a", "a_2", "", "y"] and found.reading.names == ("a", "a_2", "", "y")
    years = "country,2019,2020,y\n" + "".join(f"{n % 9},{n},{n},z\n" for n in range(30))
    assert taken(write(tmp_path / "d.csv", years), label="nope")[0].reading.header


def test_what_was_said_is_not_guessed(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.csv", text(";", ",").encode("latin-1"))
    found, _ = taken(path, encoding="latin-1", separator=";", decimal=".")
    assert found.reading.decimal == "." and found.reading.encoding == "latin-1"
    path = write(tmp_path / "b.csv", "a,y\n" + "".join(f'"{n % 9 + 1},{n:03}",p\n' for n in range(50)))
    assert taken(path)[1]["a"][1] == 2001 and taken(path, decimal=",")[1]["a"][1] == 2.001
    assert taken(path)[0].notes == ("'a' holds numbers: '1,000' is read as 1000 (--decimal , says otherwise)",)


def test_excel_and_json(tmp_path: pathlib.Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "empty"
    sheet = book.create_sheet("data")
    for row in (
        ["Sales"],
        [],
        ["a", "b", "when", "y"],
        *([n / 4, n, datetime.date(2026, 1, 1), "p"] for n in range(30)),
    ):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    found, table = taken(tmp_path / "a.xlsx", "xlsx")
    assert declared(found.reading) == {"skip_rows": 2} and table["a"][3] == 0.75 and table["b"][3] == 3
    book["empty"].append(["This file was exported on Monday."])
    book.save(tmp_path / "a.xlsx")
    found, table = taken(tmp_path / "a.xlsx", "xlsx")
    assert declared(found.reading) == {"sheet": "data", "skip_rows": 2} and table["a"][3] == 0.75
    assert "of the sheets 'empty', 'data' the table is 'data' (--sheet)" in found.notes[0]
    lines = [dict(zip("abcy", row, strict=True)) | {"n": {"deep": 1}} for row in zip(*EXPECTED.values(), strict=True)]
    path = write(tmp_path / "a.json", json.dumps(lines).encode("utf-16"))
    found, table = taken(path, "json")
    assert {name: table[name] for name in "abcy"} == EXPECTED and declared(found.reading) == {"encoding": "utf-16"}


def column(folder: pathlib.Path, values: list[str]) -> tuple[Taken, list[Any]]:
    found, table = taken(write(folder / "a.csv", "v;y\n" + "".join(f'"{value}";p\n' for value in values)))
    return found, table["v"]


@pytest.mark.parametrize(
    ("written", "number", "style"),
    [
        (lambda n: f"${n},234.50", lambda n: n * 1000 + 234.5, "1,234.5"),
        (lambda n: f"{n}.234,50 €", lambda n: n * 1000 + 234.5, "1.234,5"),
        (lambda n: f"{n}.5 %", lambda n: n + 0.5, "1234.5"),
        (lambda n: f"({n}.5)", lambda n: -n - 0.5, "1234.5"),
        (lambda n: f"CHF {n}'234.5", lambda n: n * 1000 + 234.5, "1'234.5"),
        (lambda n: f"{n}\u00a0234,5", lambda n: n * 1000 + 234.5, "1 234,5"),
    ],
)
def test_numbers_as_people_write_them(tmp_path: pathlib.Path, written: Any, number: Any, style: str) -> None:
    found, values = column(tmp_path, [written(n) for n in range(1, 40)])
    assert values == [number(n) for n in range(1, 40)] and found.reading.numbers == {"v": style}
    assert any(f"{written(1)!r} is read as" in note for note in found.notes)


def test_what_is_no_date_is_named_and_the_column_stays_one(tmp_path: pathlib.Path) -> None:
    days = [f"{day:02}.{month:02}.2026" for day in range(1, 29) for month in range(1, 13)]
    found, read = column(tmp_path, [*days[:50], "31.02.2026", *days[50:], "-"])
    assert read == [*days[:50], None, *days[50:], None]
    assert {"31.02.2026", "-", "NA"} <= set(found.reading.na_values_by_column["v"])
    assert found.notes[1:] == (
        "'v': '31.02.2026' is no date (row 51, line 52 of the file): read as missing. Mend it, and take it out of "
        "data.read.na_values_by_column",
    )
    many = [*days, *(f"{day}.13.2026" for day in range(10, 16))]
    assert column(tmp_path, many)[1] == many  # `new` ignores the column and names a row


def test_what_is_no_number_is_named_and_the_column_stays_one(tmp_path: pathlib.Path) -> None:
    values = [str(n / 4) for n in range(100)]
    found, read = column(tmp_path, [*values, "oops", "?", "-"])
    assert read == [*(n / 4 for n in range(100)), None, None, None]
    assert {"oops", "?", "-", "NA"} <= set(found.reading.na_values_by_column["v"])
    assert any("'oops' is no number (row 101, line 102 of the file): read as missing" in note for note in found.notes)


@pytest.mark.parametrize(
    "values",
    [
        [f"{n % 90:05}" for n in range(100)],  # postcodes
        [f"INV{n}" for n in range(100)],
        [f"{n}kg" if n % 2 else f"{n}%" for n in range(100)],
        [f"${n}" if n % 2 else f"€{n}" for n in range(100)],
        [f"2026-01-{n % 28 + 1:02}x" for n in range(100)],
        [str(n) if n % 3 else f"{n}A" for n in range(100)],
    ],
)
def test_what_only_looks_like_numbers_stays_text(tmp_path: pathlib.Path, values: list[str]) -> None:
    found, read = column(tmp_path, values)
    assert read == values and not found.reading.numbers


def test_words_among_categories_are_spoken_of(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.csv", "v,w,y\n" + 'NA,a,p\n"None",N/A,p\nDE,b,p\n' * 20)
    found, table = taken(path)
    assert table["v"][:3] == [None, None, "DE"] and table["w"][:3] == ["a", "N/A", "b"]
    notes = about_words([path], "csv", ["v", "w"], found)
    assert (
        notes[0].startswith("'v': 'NA', 'None' count as missing (40 rows)")
        and "'w': 'N/A' counts as a value" in notes[1]
    )
    _, table = taken(path, na_values=())
    assert table["v"][:3] == ["NA", "None", "DE"]


def test_a_word_among_json_numbers_is_missing(tmp_path: pathlib.Path) -> None:
    lines = [{"a": 1.5, "c": "NA"}, {"a": "NA", "c": "x"}, {"a": 3, "c": None}]
    _, table = taken(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines))), "jsonl")
    assert table == {"a": [1.5, None, 3.0], "c": [None, "x", None]}
    with pytest.raises(InputError, match="Each field must be of one type"):
        taken(write(tmp_path / "a.jsonl", '{"a": 1}\n{"a": "x"}'), "jsonl")


def test_damaged_files_are_said_to_be(tmp_path: pathlib.Path) -> None:
    cut = gzip.compress("".join(f"{n},{n * 7919 % 1000}\n" for n in range(5000)).encode())[:-200]
    for name, content, why in (
        ("a.csv.gz", cut, "cannot be unpacked"),
        ("a.csv", bytes(range(256)) * 40, "is not text"),
    ):
        with pytest.raises(InputError, match=why):
            taken(write(tmp_path / name, content))


def test_an_error_names_the_line(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.csv", "Report\n\n" + text() + "1,2,3\n")
    with pytest.raises(InputError, match=f"line {ROWS + 4} of .*, row {ROWS + 1}: .*Expected 4 columns, got 3"):
        taken(path)
