"""The schema gate's verdict on rows outside of a run, for each of the splits that a run would make."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from components.columnar import read_batches, read_split, tfx_columns
from components.gates import CheckResult, Severity
from components.ingestion.splitting import Splitter, count_values, counted_column, splitter
from spec.splits import SPLITS
from spec.workload import Workload


def schema_checks(workload: Workload, schema: Any, rows: pathlib.Path, split: str) -> list[CheckResult]:
    """The checks of ExampleValidator on the splits of some rows, and whether each split has any.

    Args:
        rows: an Examples folder.
        split: its only split, where the rows of findings are looked up.
    """
    import tensorflow_data_validation as tfdv

    from components.example_validator.schema_checks import checks_of
    from components.example_validator.validation import validate
    from components.statistics import masking
    from components.statistics.in_process import generate_statistics

    way = workload.split
    column = counted_column(way)
    if column is not None and column not in {feature.name for feature in schema.feature}:
        parts: Splitter | None = None  # the column that decides the split is not read
    else:
        counted = None if column is None else count_values(way, read_split(rows, split, [column]).column(0).chunks)
        parts = splitter(way, workload.data.label_column, counted)
    checks = []
    for place, name in enumerate(SPLITS if parts else (split,)):
        options = tfdv.StatsOptions(schema=schema, infer_type_from_schema=True)
        statistics = generate_statistics(_rows_of(rows, split, parts, place), options, rows / "spill")
        if not statistics.datasets or not statistics.datasets[0].num_examples:
            message = f"no row falls into the {name} split: a run on these rows alone would end there"
            checks.append(CheckResult(f"rows_in_{name}", False, message=message))
            continue
        masking.mask(statistics, schema)
        anomalies = validate(statistics, schema)
        found = checks_of(anomalies, statistics, schema, name, str(rows), split)
        checks += [dataclasses.replace(one, name=f"schema {one.name}") for one in found]
    return checks


def not_judged_here(workload: Workload) -> CheckResult:
    """The drift check, which needs a run."""
    why = f"needs what a run knows, such as the span before: trainyard run {workload.name} --until DriftDetector"
    return CheckResult.not_judged("drift", why, Severity.INFO)


def _rows_of(rows: pathlib.Path, split: str, parts: Splitter | None, place: int) -> Iterator[pa.RecordBatch]:
    """The rows of the split at this place in SPLITS, as list columns; all rows where the split is unknown."""
    for batch in read_batches(rows, split):
        kept = batch if parts is None else batch.filter(pa.array(np.asarray(parts.places(batch) == place)))
        if kept.num_rows:
            yield tfx_columns(kept)
