"""What texts are: dates in the formats that people write, yes and no, prose."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.scaffold.texts import date_formats, is_prose, looks_like_dates, odd_dates, yes_and_no


def _texts(*values: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (("2026-12-31", None, "2024-02-29"), ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
        (("2026-12-31T10:20:30", "2026-12-31 10:20"), ["%Y-%m-%dT%H:%M:%S"]),
        (("2026-12-31T10:20:30.123456789Z", "2026-12-31T10:20:30+02:00"), ["%Y-%m-%dT%H:%M:%S"]),
        (("31.12.2026", "1.2.2026"), ["%d.%m.%Y"]),
        (("12/31/2026", "1/2/2026"), ["%m/%d/%Y"]),
        (("1/2/2026", "3/4/2026"), ["%m/%d/%Y", "%d/%m/%Y"]),  # a person has to look
        (("31/12/2026 23:59", "01/01/2026 00:00"), ["%d/%m/%Y %H:%M"]),
        (("12/31/2026 1:05 PM", "01/01/2026 11:00 AM"), ["%m/%d/%Y %I:%M %p"]),
        (("31-Dec-2026", "1-Jan-2026"), ["%d-%b-%Y"]),
        (("December 31, 2026", "January 1, 2026"), ["%B %d, %Y"]),
    ],
)
def test_dates(values: tuple[str, ...], formats: list[str]) -> None:
    assert looks_like_dates(_texts(*values))
    assert date_formats(_texts(*values)) == formats


def test_a_day_that_does_not_exist_is_named() -> None:
    values = _texts(*["30.01.2026"] * 30, "31.02.2026")
    assert looks_like_dates(values)
    assert date_formats(values) == []
    assert odd_dates(values, 5) == ("%d.%m.%Y", ["31.02.2026"])


def test_all_that_are_no_dates_are_named() -> None:
    days = [f"{day:02}.{month:02}.2026" for day in range(1, 29) for month in range(1, 13)]
    values = _texts(*days[:100], "soon", *days[100:], "2026", "30.02.2026")
    assert odd_dates(values, 5) == ("%d.%m.%Y", ["soon", "2026", "30.02.2026"])


@pytest.mark.parametrize("values", [("1.5", "2.5"), ("10.0.0.1", "10.0.0.2"), ("A-1-2", "B-2-3"), ("10:30", "11:45")])
def test_what_is_no_date(values: tuple[str, ...]) -> None:
    assert not (looks_like_dates(_texts(*values)) and date_formats(_texts(*values)))


def test_yes_and_no() -> None:
    assert yes_and_no(["Yes", "No"]) == ("No", "Yes")
    assert yes_and_no(["TRUE", "FALSE"]) == ("FALSE", "TRUE")
    assert yes_and_no(["yes", "maybe"]) is None
    assert yes_and_no(["yes", "no", "No"]) is None


def test_prose_has_words() -> None:
    assert is_prose(_texts("I like it very much, thank you", "not what I had hoped for at all"))
    assert not is_prose(_texts("Mrs. Ada Lovelace", "Mr. Charles Babbage"))
