"""Units of work: the same rows in the same order wherever they are done, and nothing left of what was lost."""

from __future__ import annotations

import io
import itertools
import json
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.columnar import read_split, split_files
from components.ingestion import parts
from components.ingestion.parts import Part, Unit, plan
from components.ingestion.work import Work, in_order
from spec.errors import InputError
from spec.splits import SPLITS
from spec.workload import Split

IN_MEMORY = ("--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1")
MULTI_PROCESSING = ("--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2")


def content(format: str, first: int, count: int) -> bytes:
    """Rows of which every hundredth does not fit."""
    rows = [{"id": i, "price": "dear" if i % 100 == 99 else i / 4} for i in range(first, first + count)]
    if format == "csv":
        return ("id,price\n" + "".join(f"{r['id']},{r['price']}\n" for r in rows)).encode()
    if format == "jsonl":
        return "".join(json.dumps(r) + "\n" * (1 + r["id"] % 3) for r in rows).encode()
    file = io.BytesIO()
    prices = [None if r["price"] == "dear" else r["price"] for r in rows]
    table = pa.table({"id": [r["id"] for r in rows], "price": pa.array(prices, pa.float64())})
    pq.write_table(table, file, row_group_size=100)
    return file.getvalue()


def found(examples: Any) -> dict[str, Any]:
    uri = pathlib.Path(examples.uri)
    return {
        "files": sorted(str(path.relative_to(uri)) for path in uri.rglob("*") if path.is_file()),
        **{split: read_split(uri, split).to_pydict() for split in SPLITS},
        "quarantine": pq.read_table(uri / "quarantine.parquet").to_pylist(),
        "summary": examples.get_string_custom_property("quarantine"),
    }


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "UNIT_BYTES", 4000)


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_the_same_rows_in_the_same_order_on_beam(ingest, small_units, format: str) -> None:
    files = {f"{i}.{format}": content(format, 1000 * i, 1000) for i in range(3)}
    options = {"format": format, "on_bad_rows": "quarantine", "max_bad_fraction": 0.1}
    here = ingest(files, **options)
    assert len(split_files(here.uri, "train")) >= 3  # the work was divided
    result = found(here)
    kept = [row for split in SPLITS for row in result[split]["id"]]
    assert sorted(kept + [99 + 100 * i for i in range(30)]) == list(range(3000))
    assert result["train"]["id"] == sorted(result["train"]["id"])
    assert [row["row"] for row in result["quarantine"]] == [100 * i for i in range(1, 11)] * 3
    assert found(ingest(files, beam_args=IN_MEMORY, **options)) == result


@pytest.mark.slow
def test_the_same_rows_and_the_same_error_on_worker_processes(ingest, small_units) -> None:
    files = {f"{i}.csv": content("csv", 1000 * i, 1000) for i in range(3)}
    options = {"on_bad_rows": "quarantine", "max_bad_fraction": 0.1, "split": Split(time="id")}
    assert found(ingest(files, beam_args=MULTI_PROCESSING, **options)) == found(ingest(files, **options))
    with pytest.raises(InputError) as here:
        ingest(files)
    with pytest.raises(InputError) as there:
        ingest(files, beam_args=MULTI_PROCESSING)
    assert str(there.value) == str(here.value) and "0.csv, row 100, column 'price'" in str(here.value)


@pytest.mark.parametrize(("format", "word"), [("csv", "data"), ("jsonl", "data")])
def test_the_parts_of_a_file_are_all_of_it(tmp_path, small_units, format: str, word: str) -> None:
    path = tmp_path / f"{word}.{format}"
    path.write_bytes(content(format, 0, 1000))
    units = plan([[f"file://{path}"]], format)
    ranges = [piece.part for unit in units for piece in unit.pieces]
    if format == "csv":  # a newline may be part of a value
        assert ranges == [Part()]
        return
    assert len(ranges) > 3 and ranges[0].start == 0 and ranges[-1].end == path.stat().st_size
    assert all(one.end == after.start for one, after in itertools.pairwise(ranges))


def test_small_files_are_done_together(tmp_path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.csv").write_text("x\n1\n")
    files = [f"file://{path}" for path in sorted(tmp_path.iterdir())]
    first, second = plan([files[:2], files[2:]], "csv")
    assert [len(first.pieces), len(second.pieces)] == [2, 3] and [first.span, second.span] == [0, 1]


def test_what_a_killed_attempt_left_is_removed(ingest, tmp_path) -> None:
    left = tmp_path / "examples-1" / ".staging-dead" / "000000-dead" / "train-00000-of-00001.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a shard")
    examples = ingest({"a.csv": "id,price\n" + "".join(f"{i},1\n" for i in range(50))})
    assert sorted(path.name for path in pathlib.Path(examples.uri).iterdir()) == [
        "Split-eval",
        "Split-test",
        "Split-train",
    ]


class Count(Work):
    def do(self, unit: Unit) -> int:
        return unit.number


def test_a_unit_that_is_lost_or_counted_twice_is_an_error_of_ours() -> None:
    work, unit = Count(), Unit(0, 0, ())
    one = work.add_input(work.create_accumulator(), unit)
    with pytest.raises(RuntimeError, match="1 of 2 units"):
        in_order(one, 2)
    with pytest.raises(RuntimeError, match="twice"):
        work.merge_accumulators([one, work.add_input(work.create_accumulator(), unit)])
