from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.errors import InputError
from components.ingestion import IngestionConfig
from components.ingestion.splitting import Splitter, count_times, newest_from


def config(**fields) -> IngestionConfig:
    return IngestionConfig(uri="", format="csv", label="y", **fields)


def batch(rows: int = 20_000) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "user": [f"u{i % 500}" for i in range(rows)],
            "x": np.arange(rows) / 7,
            "n": pa.array([None if i % 3 == 0 else i for i in range(rows)], pa.int64()),
            "v": [[float(i), 1.0] for i in range(rows)],
        }
    )


def test_about_the_asked_share_is_evaluated() -> None:
    mask = Splitter(config(eval_fraction=0.2)).is_eval(batch())
    assert 0.18 < mask.mean() < 0.22


def test_a_row_stays_in_its_split_wherever_it_stands() -> None:
    whole = batch()
    mask = Splitter(config()).is_eval(whole)
    order = np.random.default_rng(0).permutation(len(whole))
    assert (Splitter(config()).is_eval(whole.take(pa.array(order))) == mask[order]).all()


def test_rows_of_the_same_features_stay_together_whatever_their_label() -> None:
    features = np.arange(400).repeat(2)
    rows = pa.RecordBatch.from_pydict({"x": features, "y": np.tile([0, 1], 400)})
    mask = Splitter(config()).is_eval(rows).reshape(-1, 2)
    assert (mask[:, 0] == mask[:, 1]).all()
    assert 0.1 < mask.mean() < 0.3


def test_a_table_of_nothing_but_the_label_is_split_by_it() -> None:
    rows = pa.RecordBatch.from_pydict({"y": np.arange(1000)})
    assert 0.1 < Splitter(config()).is_eval(rows).mean() < 0.3


def test_a_key_keeps_its_rows_together() -> None:
    rows = batch()
    mask = Splitter(config(split_key="user")).is_eval(rows)
    by_user = {}
    for user, is_eval in zip(rows.column("user").to_pylist(), mask, strict=True):
        by_user.setdefault(user, set()).add(bool(is_eval))
    assert all(len(found) == 1 for found in by_user.values())
    assert 0.1 < mask.mean() < 0.3


def test_the_hash_is_the_same_in_every_process() -> None:
    # Written down once: another figure would move rows between the splits of every user's data.
    mask = Splitter(config(split_key="user")).is_eval(batch(10))
    assert mask.tolist() == [False, False, False, False, True, False, False, False, False, False]


@pytest.mark.parametrize("iso", [False, True])
def test_by_time_the_newest_are_evaluated(iso: bool) -> None:
    times = list(range(100))
    values = [f"2024-01-01T00:{t // 60:02d}:{t % 60:02d}Z" for t in times] if iso else times
    rows = pa.RecordBatch.from_pydict({"t": values})
    boundary = newest_from(count_times([rows.column("t")], "t"), 0.25)
    mask = Splitter(config(split_time="t"), boundary).is_eval(rows)
    assert mask.sum() in (25, 26) and mask[-25:].all()


def test_a_named_split_column() -> None:
    rows = pa.RecordBatch.from_pydict({"split": ["train", "eval", "train"]})
    assert Splitter(config(split_column="split")).is_eval(rows).tolist() == [False, True, False]
    with pytest.raises(InputError, match="'test'"):
        Splitter(config(split_column="split")).is_eval(pa.RecordBatch.from_pydict({"split": ["test"]}))
