"""How files are written, as it is declared: separators, encodings, headers, what is missing, numbers as people write them."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import itertools
import json
import pathlib
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.ingestion.contract import Column, columns_as_read
from components.ingestion.readers import read_file
from components.ingestion.rows import read_rows
from spec.errors import InputError
from spec.workload import Read

COLUMNS = [
    Column("id", pa.int64(), True, False),
    Column("price", pa.float64(), False, False),
    Column("city", pa.string(), False, False),
]
ROWS = {"id": [1, 2, 3], "price": [2.5, None, -0.5], "city": ["Köln", 'a "b"', "two\nlines; or, more|\t"]}


def read(path: pathlib.Path, format: str = "csv", **fields: Any) -> dict[str, list[Any]]:
    """Both ways of reading, which must give the same."""
    reading = Read(**fields)
    strict = pa.Table.from_batches(read_file(path, format, COLUMNS, (), reading=reading)).to_pydict()
    apart = pa.Table.from_batches([one.batch for one in _apart(path, format, reading)]).to_pydict()
    assert apart == strict
    return strict


def _apart(path: pathlib.Path, format: str, reading: Read) -> Any:
    from components.ingestion import rows

    return rows._apart(path, format, columns_as_read(COLUMNS, reading), (), rows.WHOLE, reading)


def bad_rows(path: pathlib.Path, format: str = "csv", **fields: Any) -> list[tuple[int, str | None]]:
    found = read_rows(path, format, COLUMNS, (), reading=Read(**fields))
    return [(one.row, one.column) for rows in found for one in rows.bad]


def refusal(path: pathlib.Path, format: str = "csv", **fields: Any) -> str:
    with pytest.raises(InputError) as caught:
        list(read_file(path, format, COLUMNS, (), reading=Read(**fields)))
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and "trainyard-plain" not in message
    return message


def table(separator: str, end: str = "\n", decimal: str = ".") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end)
    writer.writerow(ROWS)
    for row in zip(*ROWS.values(), strict=True):
        writer.writerow("" if v is None else str(v).replace(".", decimal) if isinstance(v, float) else v for v in row)
    return text.getvalue()


def write(path: pathlib.Path, content: str | bytes) -> pathlib.Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("separator", "encoding"),
    list(itertools.product(",;\t|", ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"))),
)
def test_separators_and_encodings(tmp_path: pathlib.Path, separator: str, encoding: str) -> None:
    for end, decimal in (("\n", "."), ("\r\n", ",")):
        content = table(separator, end, decimal).encode(encoding)
        fields = {"separator": separator, "encoding": encoding, "decimal": decimal}
        assert read(write(tmp_path / "a.csv", content), **fields) == ROWS
        assert read(write(tmp_path / "a.csv.gz", gzip.compress(content)), **fields) == ROWS


def test_lines_that_are_no_data(tmp_path: pathlib.Path) -> None:
    header, *rows = table(";").split("\n", 1)
    text = f"Sales 2026\nsep=;\n# by hand\n\n{header}\n# a comment\n{rows[0]}{header}\n4;1;#9\n"
    fields: dict[str, Any] = {"separator": ";", "skip_rows": 2, "comment": "#", "repeated_header": True}
    found = read(write(tmp_path / "a.csv", text), **fields)
    assert found["id"] == [1, 2, 3, 4] and found["city"][-1] == "#9"
    quoted = text.replace("two\nlines", f"two\n# lines\n{header}\nhere")
    assert read(write(tmp_path / "a.csv", quoted), **fields)["city"][2].startswith(f"two\n# lines\n{header}\nhere")
    # Whatever is passed over, a person is told the line of the file that they have.
    broken = text + "5;x;y\n"
    line = broken.count("\n")
    path = write(tmp_path / "a.csv", broken)
    assert f"line {line} of {path}, row 5, column 'price'" in refusal(path, **fields)
    assert f"line {line} of {path}, row 5: " in refusal(write(path, text + "5;1\n"), **fields)
    assert bad_rows(tmp_path / "a.csv", **fields) == [(5, None)]


def test_a_file_of_old_line_ends(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.csv", "#x\rid,price,city\r1,2.5,a\r#y\r2,3,b\r")
    assert read(path, comment="#")["id"] == [1, 2]


def test_names_instead_of_a_header(tmp_path: pathlib.Path) -> None:
    names = ("id", "price", "city")
    assert read(write(tmp_path / "a.csv", "1,2.5,a\n2,3,b\n"), header=False, names=names)["id"] == [1, 2]
    assert read(write(tmp_path / "b.csv", "id , price,city\n1,2.5,a\n"), names=names)["id"] == [1]
    path = write(tmp_path / "a.csv", "1,2.5,a\nx,3,b\n")
    assert f"line 2 of {path}, row 2, column 'id'" in refusal(path, header=False, names=names)
    assert "names has 3 names. Received: 2 columns" in refusal(write(tmp_path / "a.csv", "1,2\n"), names=names)
    assert "column_1, column_2" in refusal(write(tmp_path / "a.csv", "1,2\n"), header=False)


def test_a_wrong_encoding_is_said(tmp_path: pathlib.Path) -> None:
    assert "data.read.encoding" in refusal(write(tmp_path / "a.csv", table(",").encode("cp1252")))
    assert "is not utf-16 text" in refusal(write(tmp_path / "a.csv", b"a\n1"), encoding="utf-16")


def test_json_arrays_and_lines(tmp_path: pathlib.Path) -> None:
    rows = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
    assert read(write(tmp_path / "a.json", json.dumps(rows, indent=2)), "json") == ROWS
    lines = "\n".join(map(json.dumps, rows))
    assert read(write(tmp_path / "a.json", "\ufeff" + lines), "json") == ROWS
    for content in (gzip.compress(lines.encode("utf-16")), gzip.compress(json.dumps(rows).encode("utf-16"))):
        assert read(write(tmp_path / "a.json.gz", content), "json", encoding="utf-16") == ROWS
    assert read(write(tmp_path / "a.jsonl.gz", gzip.compress(lines.encode())), "jsonl") == ROWS
    assert "element 2: an object is expected. Received: 7" in refusal(write(tmp_path / "a.json", "[{}, 7]"), "json")
    assert "is one JSON object" in refusal(write(tmp_path / "a.json", '{\n"rows": [{"id": 1}]}'), "json")
    assert "no whole JSON array" in refusal(write(tmp_path / "a.json", '[{"id": 1'), "json")


def workbook(path: pathlib.Path, **sheets: list[list[Any]]) -> pathlib.Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_excel_sheets(tmp_path: pathlib.Path) -> None:
    header = list(ROWS)
    data = [header, *map(list, zip(*ROWS.values(), strict=True))]
    titled = [["Prices"], [], header, [1, 2.5, datetime.datetime(2026, 1, 2)], [2, "#N/A", True], [], [3, "", 7]]
    path = workbook(tmp_path / "a.xlsx", empty=[], titled=titled, data=data)
    assert read(path, "xlsx", sheet="data") == ROWS
    assert read(path, "xlsx", skip_rows=1) == {
        "id": [1, 2, 3],
        "price": [2.5, None, None],
        "city": ["2026-01-02", "true", "7"],
    }
    assert "has no sheet 'x'. Received: empty, titled, data" in refusal(path, "xlsx", sheet="x")
    assert "sheet 'empty' is empty" in refusal(path, "xlsx", sheet="empty")
    assert "no whole .xlsx file" in refusal(write(tmp_path / "b.xlsx", b"PK"), "xlsx")
    wrong = workbook(tmp_path / "c.xlsx", data=[*titled, ["x", 1, ""]])
    assert f"line 8 of {wrong}, row 4, column 'id'" in refusal(wrong, "xlsx", skip_rows=1)


WORDS = ["NA", "Namibia", "None", "nan", "", "?"]


def words(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The same rows in every format."""
    ids = range(len(WORDS))
    quoted = "".join(f'"{n}","{n}","{word}"\n' for n, word in enumerate(WORDS))
    rows = [{"id": n, "price": n, "city": word} for n, word in enumerate(WORDS)]
    pq.write_table(pa.table({"id": ids, "price": [float(n) for n in ids], "city": WORDS}), folder / "a.parquet")
    return {
        "csv": write(folder / "a.csv", "id,price,city\n" + quoted.replace('"', "")),
        "csv ": write(folder / "b.csv", "id,price,city\n" + quoted),
        "jsonl": write(folder / "a.jsonl", "\n".join(map(json.dumps, rows))),
        "json": write(folder / "a.json", json.dumps(rows)),
        "parquet": folder / "a.parquet",
        "xlsx": workbook(folder / "a.xlsx", data=[list(ROWS), *([n, n, word] for n, word in enumerate(WORDS))]),
    }


def test_missing_means_the_same_in_every_format(tmp_path: pathlib.Path) -> None:
    for format, path in words(tmp_path).items():
        kind = format.strip()
        assert read(path, kind)["city"] == [None, "Namibia", None, None, None, "?"], format
        assert read(path, kind, na_values=("?",))["city"] == ["NA", "Namibia", "None", "nan", None, None], format
        by_column = {"city": ()}
        assert read(path, kind, na_values_by_column=by_column)["city"] == [*WORDS[:4], None, "?"], format


def test_a_number_may_be_missing_in_words_too(tmp_path: pathlib.Path) -> None:
    by_column = {"price": ("NA", "oops")}
    csv_file = write(tmp_path / "a.csv", 'id,price,city\n1,oops,a\n2,"NA",b\n3,4,c\n')
    lines = '{"id": 1, "price": "oops"}\n{"id": 2, "price": "NA"}\n{"id": 3, "price": 4}'
    for format, path in (("csv", csv_file), ("jsonl", write(tmp_path / "a.jsonl", lines))):
        assert read(path, format, na_values_by_column=by_column)["price"] == [None, None, 4.0]
    assert "row 1, column 'price'" in refusal(csv_file)
    pq.write_table(pa.table({"id": [1.0, 2.0], "price": ["oops", "2,5"], "city": ["", "b"]}), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", "parquet", na_values_by_column=by_column, decimal=",")
    assert found == {"id": [1, 2], "price": [None, 2.5], "city": [None, "b"]}


@pytest.mark.parametrize(
    ("style", "texts", "numbers"),
    [
        ("1,234.5", ["$1,234.00", "-$5", "($5.10)", "12.3 %", " 1e3 "], [1234.0, -5.0, -5.1, 12.3, 1000.0]),
        ("1.234,5", ["229,59 €", "EUR 1.234.567", "0,126", "\u22120,5", "5"], [229.59, 1234567.0, 0.126, -0.5, 5.0]),
        ("1 234,5", ["1 234,5", "1\u00a0234", "1\u202f234 kr", "7"], None),
        ("1'234.5", ["1'234.5", "CHF 1'000'000"], [1234.5, 1000000.0]),
    ],
)
def test_numbers_as_people_write_them(tmp_path, style: str, texts: list[str], numbers: list[float] | None) -> None:
    rows = "".join(f'{n};"{text}";a\n' for n, text in enumerate(texts))
    path = write(tmp_path / "a.csv", "id;price;city\n" + rows)
    fields: dict[str, Any] = {"separator": ";", "numbers": {"price": style}}
    if numbers is None:
        assert "row 3, column 'price'" in refusal(path, **fields)  # a unit that nobody knows
        assert bad_rows(path, **fields) == [(3, "price")]
        return
    assert read(path, **fields)["price"] == numbers


def test_a_digit_group_that_is_none_is_refused(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.csv", 'id,price,city\n1,"1,234",a\n2,"1,23",b\n')
    assert f"line 3 of {path}, row 2, column 'price'" in refusal(path, thousands=",")
    lines = write(tmp_path / "a.jsonl", '{"id": 1, "price": "$1,234"}\n{"id": 2, "price": 7}')
    assert read(lines, "jsonl", numbers={"price": "1,234.5"})["price"] == [1234.0, 7.0]


def test_a_gap_in_a_vector_is_a_missing_value(tmp_path: pathlib.Path) -> None:
    column = [Column("v", pa.list_(pa.float64()), True, False)]
    pq.write_table(pa.table({"v": [[1.0, 2.0], [1.0, float("nan")]]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="row 2, column 'v': has no value"):
        list(read_file(tmp_path / "a.parquet", "parquet", column, ()))
