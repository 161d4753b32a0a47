"""Image folders: classes by folder, bytes as they are, and every image that cannot be used by its name."""

from __future__ import annotations

import io
import json
import pathlib
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components import border
from components.columnar import read_split
from components.ingestion import sources
from components.ingestion.executor import Executor
from spec.errors import InputError
from spec.splits import SPLITS
from spec.workload import Ingestion, Label

SCHEMA = """
feature { name: "image" type: BYTES presence { min_fraction: 1.0 } shape {} image_domain {} }
feature { name: "label" type: BYTES presence { min_fraction: 1.0 } shape {} string_domain { value: "cat" value: "dog" } }
"""


def picture(seed: int, encode: Any = tf.io.encode_png) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 10, 3), dtype=np.uint8)
    return encode(pixels).numpy()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG's header alone: small on disk, huge when decoded."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "data"
    for number in range(20):
        for name, encode in (("cat", tf.io.encode_png), ("dog", tf.io.encode_jpeg)):
            path = root / name / f"{number}.img"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(number, encode))
    return root


def ingest(folder: pathlib.Path, schema: str = SCHEMA, **options: Any) -> standard_artifacts.Examples:
    place = folder.parent
    (place / "schema").mkdir(exist_ok=True)
    (place / "schema" / "schema.pbtxt").write_text(schema)
    contract = standard_artifacts.Schema()
    contract.uri = str(place / "schema")
    config = Ingestion(**{"uri": f"{folder}/*/*", "format": "images", "label": Label(column="label"), **options})
    window = sources.resolve_window(config.uri, 0, 1, empty_files=True)
    spans = [{"span": s.number, "digest": s.digest, "files": s.files} for s in window]
    examples = standard_artifacts.Examples()
    examples.uri = str(place / "examples")
    context = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(place / "tmp"), unique_id="1")
    Executor(context).Do(
        {"schema": [contract]},
        {"examples": [examples]},
        {"input_config": border.dump(config), "spans": json.dumps(spans), "span": 0},
    )
    return examples


def test_bytes_and_label(folder) -> None:
    examples = ingest(folder)
    rows = [row for split in SPLITS for row in read_split(examples.uri, split).to_pylist()]
    found = {(row["label"], row["image"]) for row in rows}
    expected = {(path.parent.name, path.read_bytes()) for path in folder.glob("*/*")}
    assert found == expected and len(rows) == 40


def test_a_webp_is_read_and_a_cut_one_is_not(folder) -> None:
    whole = io.BytesIO()
    PIL.Image.new("RGB", (40, 30), (200, 30, 30)).save(whole, "webp", exif=b"Exif\x00\x00" + b"\x17" * 40)
    (folder / "cat" / "new.webp").write_bytes(whole.getvalue())
    examples = ingest(folder)
    read = [row["image"] for split in SPLITS for row in read_split(examples.uri, split).to_pylist()]
    assert whole.getvalue() in read and len(read) == 41
    (folder / "cat" / "new.webp").write_bytes(whole.getvalue()[:60])
    with pytest.raises(InputError, match=r"1 of 41 images cannot be used.*new.webp is corrupt"):
        ingest(folder)


def spoil(folder: pathlib.Path) -> None:
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "cat" / "huge.png").write_bytes(png_of_size(20_000, 20_000))
    (folder / "dog" / "cut.jpg").write_bytes(picture(1, tf.io.encode_jpeg)[:-40])
    (folder / "dog" / "cut.png").write_bytes(picture(1)[:-40])
    (folder / "dog" / "garbage.jpg").write_bytes(picture(1, tf.io.encode_jpeg)[:200] + b"\x17" * 300)
    (folder / "dog" / "note.jpg").write_text("this is no image")


def test_every_bad_image_is_named(folder) -> None:
    spoil(folder)
    with pytest.raises(InputError) as caught:
        ingest(folder)
    message = str(caught.value)
    assert message.startswith("6 of 46 images cannot be used") and "\n" not in message
    for part in ("empty.png is empty", "20000 x 20000", "cut.jpg is corrupt", "cut.png is corrupt"):
        assert part in message, message
    assert "garbage.jpg is" in message and "note.jpg is no whole JPEG" in message


def test_bad_images_in_quarantine(folder) -> None:
    spoil(folder)
    examples = ingest(folder, on_bad_rows="quarantine", max_bad_fraction=0.2)
    side = pq.read_table(pathlib.Path(examples.uri) / "quarantine.parquet")
    assert sorted(pathlib.Path(file).name for file in side["file"].to_pylist()) == [
        "cut.jpg",
        "cut.png",
        "empty.png",
        "garbage.jpg",
        "huge.png",
        "note.jpg",
    ]
    assert examples.get_int_custom_property("rows_in") == 46
    assert examples.get_int_custom_property("rows_out") == 40


def animation() -> bytes:
    """A GIF of two frames, 1 x 1."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\x04\0\n\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0"
    return screen + frame + frame + b";"


def test_an_animation_is_one_image(folder) -> None:
    (folder / "cat" / "moves.gif").write_bytes(animation())
    assert tf.io.decode_image(animation()).shape[0] == 2
    assert ingest(folder).get_int_custom_property("rows_out") == 41


def test_a_class_without_images(folder) -> None:
    (folder / "horse").mkdir()
    with pytest.raises(InputError, match=r"horse has no image"):
        ingest(folder)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("image_domain {}", "", "image_domain"),
        ('"image"', '"picture"', "needs a feature 'image'"),
        (
            'type: BYTES presence { min_fraction: 1.0 } shape {} string_domain { value: "cat" value: "dog" }',
            "type: INT",
            "says int64 for 'label'",
        ),
    ],
)
def test_a_schema_that_does_not_take_images(folder, old: str, new: str, part: str) -> None:
    assert old in SCHEMA
    with pytest.raises(InputError, match=part):
        ingest(folder, SCHEMA.replace(old, new))


def test_an_image_that_changes_its_class_changes_the_digest(folder) -> None:
    before = sources.resolve_window(f"{folder}/*/*", 0, 1)[0].digest
    (folder / "cat" / "0.img").rename(folder / "dog" / "20.img")
    moved = sources.resolve_window(f"{folder}/*/*", 0, 1)[0].digest
    folder.rename(folder.parent / "elsewhere")
    assert sources.resolve_window(f"{folder.parent}/elsewhere/*/*", 0, 1)[0].digest == moved != before
