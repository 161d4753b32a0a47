"""Files that lie elsewhere: object stores by fsspec's memory file system, and a real HTTP server."""

from __future__ import annotations

import functools
import http.server
import io
import pathlib
import threading
from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.columnar import read_split
from components.ingestion import parts, sources
from components.ingestion.contract import Column
from components.ingestion.readers import read_file
from spec.errors import InputError
from spec.splits import SPLITS

ROWS = "id,price\n" + "".join(f"{i},1\n" for i in range(100))


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    memory = fsspec.filesystem("memory")
    yield memory
    memory.rm("/bucket", recursive=True)


def test_spans_in_an_object_store(ingest, bucket) -> None:
    for span in (1, 2):
        bucket.pipe_file(f"/bucket/span-{span}/a.csv", ROWS.encode())
    examples = ingest({}, uri="memory://bucket/span-{SPAN}/*.csv", window=2)
    assert examples.get_int_custom_property("rows_out") == 200
    assert sum(read_split(examples.uri, split).num_rows for split in SPLITS) == 200


def test_errors_name_the_url_and_copies_are_removed(ingest, bucket, tmp_path) -> None:
    bucket.pipe_file("/bucket/a.csv", (ROWS + "101,dear\n").encode())
    with pytest.raises(InputError) as caught:
        ingest({}, uri="memory://bucket/*.csv")
    assert "memory:///bucket/a.csv, row 101, column 'price'" in str(caught.value).replace(
        "memory://bucket", "memory:///bucket"
    )
    assert not list((tmp_path / "examples-1").rglob("*"))
    examples = ingest({}, uri="memory://bucket/*.csv", on_bad_rows="quarantine", max_bad_fraction=0.1)
    (row,) = pq.read_table(pathlib.Path(examples.uri) / "quarantine.parquet").to_pylist()
    assert row["file"].startswith("memory://") and row["row"] == 101


def test_a_large_remote_file_is_one_unit(ingest, bucket, monkeypatch) -> None:
    monkeypatch.setattr(parts, "UNIT_BYTES", 100)
    file = io.BytesIO()
    pq.write_table(pa.table({"id": range(100), "price": [1.0] * 100}), file, row_group_size=10)
    bucket.pipe_file("/bucket/a.parquet", file.getvalue())
    assert len(parts.plan([["memory://bucket/a.parquet"]], "parquet")) == 1
    examples = ingest({}, uri="memory://bucket/a.parquet", format="parquet")
    assert examples.get_int_custom_property("rows_out") == 100


def test_a_file_over_http(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv").write_text(ROWS)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/a.csv"
        (span,) = sources.resolve_window(url, 0, 1)
        columns = [Column("id", pa.int64(), True, False), Column("price", pa.float64(), True, False)]
        with sources.local_copy(span.files[0], tmp_path) as path:
            assert sum(batch.num_rows for batch in read_file(path, "csv", columns, ())) == 100
        server.shutdown()
