"""TFRecord files of tf.Example: types, what is missing, what is broken."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.ingestion.contract import columns_of
from components.ingestion.readers import read_file
from components.ingestion.rows import read_rows
from spec.errors import InputError

SCHEMA = """
feature { name: "id" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "price" type: FLOAT presence { min_fraction: 0.5 } value_count { max: 1 } }
feature { name: "kind" type: BYTES presence { min_fraction: 0.5 } value_count { max: 1 } }
feature { name: "image" type: BYTES presence { min_count: 0 } image_domain {} }
feature { name: "pixels" type: FLOAT presence { min_fraction: 1.0 } shape { dim { size: 2 } } }
"""
COLUMNS = columns_of(text_format.Parse(SCHEMA, schema_pb2.Schema()))


def example(**values: Any) -> bytes:
    features = {}
    for name, value in values.items():
        several = value if isinstance(value, list) else [value]
        if isinstance(several[0], int):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=several))
        elif isinstance(several[0], float):
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=several))
        else:
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=several))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(path: pathlib.Path, *records: bytes, gzip: bool = False) -> pathlib.Path:
    with tf.io.TFRecordWriter(str(path), options="GZIP" if gzip else "") as writer:
        for record in records:
            writer.write(record)
    return path


GOOD = (
    example(id=1, price=2.5, kind=b"a", image=b"\xff\x00", pixels=[1.0, 2.0]),
    example(id=2, kind="é".encode(), pixels=[3.0, 4.0]),
)


@pytest.mark.parametrize("gzip", [False, True])
def test_the_schemas_types(tmp_path, gzip: bool) -> None:
    (batch,) = read_file(write(tmp_path / "a", *GOOD, gzip=gzip), "tfrecord", COLUMNS, ())
    assert batch.to_pylist() == [
        {"id": 1, "price": 2.5, "kind": "a", "image": b"\xff\x00", "pixels": [1.0, 2.0]},
        {"id": 2, "price": None, "kind": "é", "image": None, "pixels": [3.0, 4.0]},
    ]
    assert [field.type for field in batch.schema] == [column.type for column in COLUMNS]


BAD = (
    GOOD[0],
    b"no example \xff",
    example(id=3.5, pixels=[1.0, 2.0]),
    example(id=[4, 5], pixels=[1.0, 2.0]),
    example(id=6),
    example(id=7, kind=b"\xff", pixels=[1.0, 2.0]),
    GOOD[1],
)


def test_bad_records_are_set_aside(tmp_path) -> None:
    good, bad = [], {}
    for rows in read_rows(write(tmp_path / "a", *BAD), "tfrecord", COLUMNS, ()):
        good += rows.numbers.tolist()
        bad |= {one.row: one for one in rows.bad}
    assert good == [1, 7] and sorted(bad) == [2, 3, 4, 5, 6]
    assert "no tf.Example" in bad[2].reason and "type" in bad[3].reason
    assert bad[4].column == "id" and "Received: 2" in bad[4].reason
    assert bad[5].column == "pixels" and bad[6].column == "kind"


@pytest.mark.parametrize(("count", "part"), [(2, "row 2: is no tf.Example"), (1, "no rows")])
def test_the_first_bad_record_is_named(tmp_path, count: int, part: str) -> None:
    path = write(tmp_path / "a", *(BAD[:2] if count == 2 else ()))
    with pytest.raises(InputError, match=part):
        list(read_file(path, "tfrecord", COLUMNS, ()))


@pytest.mark.parametrize("gzip", [False, True])
def test_a_file_that_is_cut_off(tmp_path, gzip: bool) -> None:
    path = write(tmp_path / "a", *GOOD, gzip=gzip)
    path.write_bytes(path.read_bytes()[:-7])
    for read in (read_file, read_rows):
        with pytest.raises(InputError, match="not a whole TFRecord file"):
            list(read(path, "tfrecord", COLUMNS, ()))


def test_gzip_streams_in_a_row(tmp_path) -> None:
    whole = write(tmp_path / "a", *GOOD, gzip=True).read_bytes()
    (tmp_path / "b").write_bytes(whole + whole)
    assert sum(batch.num_rows for batch in read_file(tmp_path / "b", "tfrecord", COLUMNS, ())) == 4


def test_a_feature_that_the_schema_does_not_know(tmp_path) -> None:
    path = write(tmp_path / "a", example(id=1, pixels=[1.0, 2.0], more=1))
    with pytest.raises(InputError, match="'more' is not in the schema"):
        list(read_file(path, "tfrecord", COLUMNS, ()))
    assert len(list(read_file(path, "tfrecord", COLUMNS, ("more",)))) == 1
