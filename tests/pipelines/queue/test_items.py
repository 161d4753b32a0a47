"""What an item may say, and which files it may name."""

from __future__ import annotations

import json
import pathlib

import pytest

from pipelines.queue import items
from pipelines.queue.items import Item, allowed_prefix
from pipelines.queue.queues import Delivery
from spec.errors import InputError


def read(said: object, *allowed: str) -> Item:
    document = said if isinstance(said, bytes) else json.dumps(said).encode()
    return items.read(Delivery("1-0", 1, document), [allowed_prefix(one) for one in allowed])


def test_an_item_has_the_id_that_it_says_or_the_queues() -> None:
    assert read({"instances": [{"fare": 1}]}) == Item("1-0", [{"fare": 1}])
    assert read({"id": "order-17", "instances": [1.0]}) == Item("order-17", [1.0])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"{broken", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"", "is not JSON"),
        ([1], 'expected "instances" or "uri"'),
        ({}, 'expected "instances" or "uri"'),
        ({"instances": [1], "uri": "x"}, 'expected "instances" or "uri"'),
        ({"instances": [1], "signature": "x"}, 'expected "instances" or "uri"'),
        ({"instances": []}, "at least one row"),
        ({"instances": "all"}, "at least one row"),
        ({"id": "../../etc/passwd", "instances": [1]}, "its id"),
        ({"id": ".hidden", "instances": [1]}, "its id"),
        ({"id": "a" * 201, "instances": [1]}, "its id"),
        ({"id": 7, "instances": [1]}, "its id"),
        ({"uri": 7}, '"uri" must be text'),
    ],
)
def test_what_is_no_item_is_refused(said: object, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        read(said)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_a_document_that_is_too_large_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(items, "MOST_BYTES", 10)
    with pytest.raises(InputError, match=r"10 at most\. Put the rows into a file"):
        read({"instances": [{"fare": 1}]})


def test_files_below_what_is_allowed_may_be_named(tmp_path: pathlib.Path) -> None:
    inside = tmp_path / "rows" / "a.jsonl"
    for uri in (str(inside), f"file://{inside}"):
        assert read({"uri": uri}, str(tmp_path / "rows")) == Item("1-0", uri=str(inside), format="jsonl")
    assert read({"uri": "s3://bucket/rows/a.parquet"}, "s3://bucket/rows/").format == "parquet"


@pytest.mark.parametrize(
    "uri",
    [
        "{root}/rows2/a.jsonl",
        "{root}/rows/../secret/a.jsonl",
        "{root}/rows/link/a.jsonl",
        "/etc/a.jsonl",
        "s3://bucket/rows2/a.jsonl",
        "s3://other/rows/a.jsonl",
        "s3://bucket/rows/../secret/a.jsonl",
        "s3://bucket/rows/%2e%2e/secret/a.jsonl",
        "s3://bucket/rows/a::file:///etc/a.jsonl",
        "simplecache::s3://bucket/rows/a.jsonl",
        "S3://bucket/rows/a.jsonl",
    ],
)
def test_others_may_not(uri: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "link").symlink_to("/etc")
    for allowed in ((f"{tmp_path}/rows", "s3://bucket/rows"), ()):
        with pytest.raises(InputError, match=r"is not below|has `\.\.`, `::`"):
            read({"uri": uri.format(root=tmp_path)}, *allowed)


def test_a_file_in_a_folder_is_an_item_itself(tmp_path: pathlib.Path) -> None:
    for name, content in (("a.json", b'{"instances": [1]}'), ("b.parquet", b"PAR1")):
        (tmp_path / name).write_bytes(content)
    read_file = lambda name: items.read(Delivery(name, 1, file=tmp_path / name), [])  # noqa: E731
    assert read_file("a.json") == Item("a.json", [1])
    assert read_file("b.parquet") == Item("b.parquet", uri=str(tmp_path / "b.parquet"), format="parquet")
    (tmp_path / "link.jsonl").symlink_to("/etc/passwd")
    (tmp_path / "notes.txt").write_bytes(b"")
    for name, why in (("link.jsonl", "is a link"), ("notes.txt", "a name that ends in .jsonl")):
        with pytest.raises(InputError, match=why):
            read_file(name)
