"""A part of train that no trial learns from."""

from __future__ import annotations

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from components.columnar import SplitWriter, read_batches
from components.tuner import _holdout

ROWS = 4_000


def examples(folder: pathlib.Path, shards: int = 1) -> str:
    """Each number twice, with either label; `user` is the number's last digit."""
    number = np.repeat(np.arange(ROWS // 2), 2)
    pixels = pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(number, 3).astype(np.float32)), 3)
    words = pa.array([["a", "b"]] * ROWS)
    table = pa.table({"pixels": pixels, "words": words, "user": number % 10, "y": np.tile([0, 1], ROWS // 2)})
    batches = table.to_batches(max_chunksize=ROWS // shards)
    with SplitWriter(folder, "train", table.schema) as writer:
        for batch in batches:
            writer.write(batch)
    return str(folder)


def read(folder: pathlib.Path, split: str) -> pa.Table:
    return pa.Table.from_batches(list(read_batches(folder, split)))


def numbers(folder: pathlib.Path, split: str) -> list[float]:
    return pc.list_element(read(folder, split)["pixels"].combine_chunks(), 0).to_pylist()


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_every_row_is_on_one_side_with_those_of_the_same_features(tmp_path: pathlib.Path, fraction: float) -> None:
    _holdout.write(examples(tmp_path / "all"), tmp_path / "parts", "y", fraction, seed=1)
    train, held_out = (numbers(tmp_path / "parts", split) for split in ("train", "eval"))
    assert sorted(train + held_out) == sorted(numbers(tmp_path / "all", "train"))
    assert not set(train) & set(held_out)
    assert len(held_out) / ROWS == pytest.approx(fraction, abs=0.03)
    assert read(tmp_path / "parts", "eval").schema.equals(read(tmp_path / "all", "train").schema)


def test_the_seed_decides_and_the_files_do_not(tmp_path: pathlib.Path) -> None:
    found = []
    for name, shards, seed in (("a", 1, 1), ("b", 3, 1), ("c", 1, 2)):
        _holdout.write(examples(tmp_path / name, shards), tmp_path / f"{name}-parts", "y", 0.2, seed)
        found.append(numbers(tmp_path / f"{name}-parts", "eval"))
    assert found[0] == found[1] != found[2]


def test_rows_of_a_key_stay_together(tmp_path: pathlib.Path) -> None:
    _holdout.write(examples(tmp_path / "all"), tmp_path / "parts", "y", 0.4, seed=1, key="user")
    train, held_out = (set(read(tmp_path / "parts", split)["user"].to_pylist()) for split in ("train", "eval"))
    assert not train & held_out and len(train | held_out) == 10 and held_out
