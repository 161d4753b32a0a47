"""Histograms of equally wide buckets against TFDV's own."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.utils import quantiles_util
from tfx_bsl.sketches import QuantilesSketch

from components.statistics._histograms import equi_width_histogram
from components.statistics._in_process import generate_statistics

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
}


def arguments(values: Any, quantiles: int) -> dict[str, Any]:
    """What TFDV's generator calls the histogram with."""
    values = np.asarray(values, np.float64)
    sketch = QuantilesSketch(0.01, 2**32, 1)
    sketch.AddValues(pa.array(values))
    bounds, counts = sketch.GetQuantilesAndCumulativeWeights(quantiles)
    finite = values[np.isfinite(values)]
    return {
        "quantiles": bounds.flatten().to_numpy(zero_copy_only=False),
        "cumulative_counts": counts.flatten().to_numpy(zero_copy_only=False),
        "finite_min": finite.min() if len(finite) else _INF,
        "finite_max": finite.max() if len(finite) else -_INF,
        "num_pos_inf": int((values == _INF).sum()),
    }


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("quantiles", [10, 1000])
def test_equal_to_tfdv_bit_for_bit(name: str, quantiles: int) -> None:
    given = arguments(COLUMNS[name], quantiles)
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
