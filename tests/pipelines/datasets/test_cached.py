"""The data sets of the dataset cache: as many rows as is said of them, and what is particular to each."""

from __future__ import annotations

import io
import pathlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipelines import datasets
from spec.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("landing")


def _table(name: str, landing: pathlib.Path) -> pa.Table:
    """A data set's rows; skips the test where they cannot be had."""
    import pyarrow.parquet as pq

    try:
        return pq.read_table(datasets.prepare(name, 1, landing / name))
    except InputError as error:
        pytest.skip(str(error))


def _counts(table: pa.Table, column: str) -> dict[object, int]:
    return {one["values"]: one["counts"] for one in table[column].value_counts().to_pylist()}


@pytest.mark.parametrize(
    ("name", "columns", "counted", "counts"),
    [
        ("cifar10", ["image", "label", "split"], "split", {"train": 50_000, "test": 10_000}),
        ("flowers12", ["image", "label", "split"], "split", {"train": 720, "test": 240}),
        ("lastfm", ["user", "artist", "plays", "split"], "split", {"train": 42_135, "test": 10_533}),
        (
            "lastfm_friends",
            ["user", "artist", "plays", "friends", "cold_user", "split"],
            "split",
            {"train": 39_971, "test": 12_697},
        ),
        ("gowalla", ["user", "place", "split"], "split", {"train": 810_128, "test": 217_242}),
        ("sms_spam", ["text", "label"], "label", {"ham": 4_827, "spam": 747}),
        ("rotten_tomatoes", ["text", "label"], "label", {"positive": 5_331, "negative": 5_331}),
        ("mnist_anomalies", ["image_bytes", "anomaly", "split"], "anomaly", {0: 70_000, 1: 4_840}),
        ("digit_scenes", ["image", "mask", "split"], "split", {"train": 5_000, "test": 1_000}),
    ],
)
def test_rows_and_columns(
    landing: pathlib.Path, name: str, columns: list[str], counted: str, counts: dict[object, int]
) -> None:
    table = _table(name, landing)
    assert table.column_names == columns
    assert _counts(table, counted) == counts
    assert sum(column.null_count for column in table.columns) == 0


def test_a_sentence_keeps_what_unicode_takes_for_a_new_line(landing: pathlib.Path) -> None:
    texts = _table("rotten_tomatoes", landing)["text"].to_pylist()
    assert any("\x85" in text for text in texts)
    assert all(text and text == text.strip() for text in texts)


@pytest.mark.parametrize("name", ["cifar10", "flowers12"])
def test_the_classes_are_alike_in_number(landing: pathlib.Path, name: str) -> None:
    from PIL import Image

    table = _table(name, landing)
    assert len(set(_counts(table, "label").values())) == 1
    side = {"cifar10": 32, "flowers12": 224}[name]
    assert Image.open(io.BytesIO(table["image"][-1].as_py())).size == (side, side)


def test_letters_are_drawn_as_digits_are(landing: pathlib.Path) -> None:
    table = _table("mnist_anomalies", landing)
    assert set(table.filter(np.asarray(table["anomaly"]) == 1)["split"].to_pylist()) == {"test"}
    pixels = np.frombuffer(b"".join(table["image_bytes"].to_pylist()), np.uint8).reshape(-1, 28, 28)
    letters = np.asarray(table["anomaly"]) == 1
    assert not pixels[letters][:, [0, -1]].any() and not pixels[letters][:, :, [0, -1]].any()
    # As much ink, so that the amount of it gives nothing away.
    assert pixels[letters].mean() == pytest.approx(pixels[~letters].mean(), rel=0.1)


def test_scenes_are_the_same_each_time_and_their_masks_lie_on_their_digits(
    landing: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    from PIL import Image

    table = _table("digit_scenes", landing).slice(4_900, 200)
    pictures, masks = (
        np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in table[name].to_pylist()])
        for name in ("image", "mask")
    )
    assert pictures.shape == masks.shape == (200, 64, 64)
    assert set(np.unique(masks)) == set(range(11))
    assert pictures[masks > 0].mean() - pictures[masks == 0].mean() > 50
    from pipelines.datasets import digit_scenes, mnist

    images, labels = mnist.pictures()["train"]
    first, again = (digit_scenes._scene(images, labels, np.random.default_rng(seed=3))[0].tobytes() for _ in range(2))
    assert first == again
