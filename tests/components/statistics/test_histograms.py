"""Histograms of equally wide buckets against TFDV's own."""

from __future__ import annotations

import contextlib
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.utils import quantiles_util
from tfx_bsl.sketches import QuantilesSketch

from components.statistics import in_process
from components.statistics._histograms import equi_width_histogram
from components.statistics.in_process import generate_statistics

_RANDOM = np.random.default_rng(11)
_INF = float("inf")
COLUMNS = {
    "one value": [2.5],
    "two values": [0.0, 1.0],
    "the same value": [7.0] * 40,
    "few values": _RANDOM.integers(0, 5, 400),
    "as many as buckets": np.arange(11).repeat(3),
    "amounts": _RANDOM.normal(size=180),
    "long tail": _RANDOM.lognormal(sigma=4, size=5_000),
    "mostly zero": np.append(np.zeros(900), _RANDOM.normal(size=100)),
    "neighbouring doubles": [1.0, np.nextafter(1.0, 2.0)],
    "infinities": [-_INF, -_INF, *_RANDOM.normal(size=50), _INF, _INF, _INF],
    "positive infinity": [*_RANDOM.normal(size=50), _INF],
    "nothing finite": [-_INF, _INF],
    "one finite": [-_INF, 3.0, _INF],
    "beyond doubles": [-1.7e308, 0.0, 1.7e308],
    "beyond floats": [-3e38, 0.0, 3e38],
    "integers": [*range(-50, 51), 3, 3, 3],
    "edges": [0.0, 0.1, 0.1, 0.2, 0.3, 0.5, 0.5, 0.5, 0.9, 1.0, 1.0],
}


def arguments(values: Any, quantiles: int, kind: Any) -> dict[str, Any]:
    """What TFDV's generator calls the histogram with."""
    values = np.asarray(values).astype(kind)
    sketch = QuantilesSketch(0.01, 2**32, 1)
    sketch.AddValues(pa.array(values))
    bounds, counts = sketch.GetQuantilesAndCumulativeWeights(quantiles)
    finite = values[np.isfinite(values)]
    return {
        "quantiles": bounds.flatten().to_numpy(zero_copy_only=False),
        "cumulative_counts": counts.flatten().to_numpy(zero_copy_only=False),
        "finite_min": finite.min() if len(finite) else kind(_INF),
        "finite_max": finite.max() if len(finite) else kind(-_INF),
        "num_pos_inf": int((values == _INF).sum()),
    }


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("quantiles", [10, 1000])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_equal_to_tfdv_bit_for_bit(name: str, quantiles: int, kind: Any) -> None:
    given = arguments(COLUMNS[name], quantiles, kind)
    theirs = quantiles_util.generate_equi_width_histogram(**given, num_buckets=10)
    assert equi_width_histogram(**given, num_buckets=10) == theirs


def test_a_column_of_numbers_costs_no_message_a_quantile(tmp_path: Any) -> None:
    """TFDV makes a message of each of a thousand quantiles: with 2,000 columns that took longer than all other statistics."""
    batch = pa.record_batch(
        {"x": pa.array([[value] for value in _RANDOM.normal(size=300)], pa.large_list(pa.float32()))}
    )
    with (
        mock.patch.object(quantiles_util, "_overlap") as overlap,
        mock.patch.object(
            quantiles_util, "generate_quantiles_histogram", wraps=quantiles_util.generate_quantiles_histogram
        ) as made,
    ):
        generate_statistics([batch], tfdv.StatsOptions(), tmp_path)
    overlap.assert_not_called()
    assert max(len(call.args[0]) for call in made.call_args_list) <= 11


def test_columns_of_every_kind_keep_tfdvs_statistics(tmp_path: Any) -> None:
    """As TFDV's generator hands them over: float32, whole numbers, and few values among them."""
    columns = {
        "float": pa.array([[value] for value in _RANDOM.normal(size=300)], pa.large_list(pa.float32())),
        "tail": pa.array([[value] for value in _RANDOM.lognormal(sigma=3, size=300)], pa.large_list(pa.float32())),
        "missing": pa.array([None if n % 3 else [float(n), float("nan")] for n in range(300)], pa.large_list(pa.float32())),
        "integer": pa.array([[int(value)] for value in _RANDOM.integers(0, 9, 300)], pa.large_list(pa.int64())),
        "constant": pa.array([[3]] * 300, pa.large_list(pa.int64())),
        "large": pa.array([[10**15 + n] for n in range(300)], pa.large_list(pa.int64())),
    }  # fmt: skip
    batch, options = pa.record_batch(columns), tfdv.StatsOptions()
    ours = generate_statistics([batch], options, tmp_path)
    with mock.patch.object(in_process, "quick_histograms", contextlib.nullcontext):
        assert generate_statistics([batch], options, tmp_path) == ours
