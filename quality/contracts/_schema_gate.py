"""What a run's schema gate says of rows that no run has looked at: of each split, as a run would make them."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from components.columnar import read_batches, read_split, tfx_columns
from components.gates import CheckResult, Severity
from components.ingestion import IngestionConfig
from components.ingestion.splitting import Splitter, count_values, counted_column, splitter
from spec.splits import SPLITS
from spec.workload import Workload


def schema_checks(workload: Workload, schema: Any, rows: pathlib.Path, split: str) -> list[CheckResult]:
    """The checks of ExampleValidator on the splits of some rows, and whether each split has any.

    Args:
        workload: says how rows are split.
        schema: that they have to keep.
        rows: an Examples folder.
        split: its only split, in which the rows of findings are looked up.
    """
    import tensorflow_data_validation as tfdv

    from components.example_validator._checks import checks_of
    from components.example_validator._validation import validate
    from components.statistics import _personal
    from components.statistics._in_process import generate_statistics

    config = IngestionConfig("", str(workload.data.format), workload.data.label_column, **_split(workload))
    column = counted_column(config)
    if column is not None and column not in {feature.name for feature in schema.feature}:
        parts: Splitter | None = None  # the column that says so is not among what is read
    else:
        counted = None if column is None else count_values(config, read_split(rows, split, [column]).column(0).chunks)
        parts = splitter(config, counted)
    checks = []
    for place, name in enumerate(SPLITS if parts else (split,)):
        options = tfdv.StatsOptions(schema=schema, infer_type_from_schema=True)
        statistics = generate_statistics(_rows_of(rows, split, parts, place), options, rows / "spill")
        if not statistics.datasets or not statistics.datasets[0].num_examples:
            message = f"no row falls into the {name} split: a run on these rows alone would end there"
            checks.append(CheckResult(f"rows_in_{name}", False, message=message))
            continue
        _personal.mask(statistics, schema)
        anomalies = validate(statistics, schema)
        found = checks_of(anomalies, statistics, schema, name, str(rows), split)
        checks += [dataclasses.replace(one, name=f"schema {one.name}") for one in found]
    return checks


def not_judged_here(workload: Workload) -> CheckResult:
    """What a run's drift gate alone can say."""
    why = f"needs what a run knows, such as the span before: trainyard run {workload.name} --until DriftDetector"
    return CheckResult.not_judged("drift", why, Severity.INFO)


def _split(workload: Workload) -> dict[str, Any]:
    split = workload.data.split
    return {
        "split_key": workload.split_key,
        "split_time": split.time,
        "split_column": split.column,
        "eval_fraction": split.eval_fraction,
        "test_fraction": split.test_fraction,
    }


def _rows_of(rows: pathlib.Path, split: str, parts: Splitter | None, place: int) -> Iterator[pa.RecordBatch]:
    """The rows of a place among SPLITS, in list columns; all of them where nobody can say."""
    for batch in read_batches(rows, split):
        kept = batch if parts is None else batch.filter(pa.array(np.asarray(parts.places(batch) == place)))
        if kept.num_rows:
            yield tfx_columns(kept)
