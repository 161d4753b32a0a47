"""Taxi-like data of any size: trips of TFX's sample drawn again with noise. The same rows every time."""

from __future__ import annotations

import json
import pathlib
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipelines import datasets, home

LABEL = "big_tipper"
SLICE = "trip_start_hour"  # 24 slices
EPOCHS, BATCH_SIZE, EVAL_BATCH_SIZE = 1, 512, 1024
HYPERPARAMETERS = {"learning_rate": 0.001, "embedding_size": 8, "hidden_units": 64, "dropout": 0.2}

_SEED = 7
_ROWS_PER_BLOCK = 100_000
# What is left out of the sample's 19 columns: it gives the label away.
_LEAKS = ("tips",)
# Relative noise for amounts; in degrees, about 100 m, for places.
_AMOUNTS = {"fare": 0.05, "trip_miles": 0.05}
_PLACES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
_PLACE_NOISE = 0.001


def generate(rows: int, path: pathlib.Path) -> None:
    """Writes a CSV of `rows` trips and 18 columns, block by block."""
    with tempfile.TemporaryDirectory() as folder:
        sample = _sample(pathlib.Path(folder))
    random = np.random.default_rng(_SEED)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    # pyarrow puts the header's names into quotes, and stock TFX takes the quotes for part of the names.
    options = pa.csv.WriteOptions(include_header=False)
    with partial.open("wb") as file, pa.csv.CSVWriter(file, sample.schema, write_options=options) as writer:
        file.write((",".join(sample.schema.names) + "\n").encode())
        for start in range(0, rows, _ROWS_PER_BLOCK):
            count = min(_ROWS_PER_BLOCK, rows - start)
            writer.write_table(_noisy(sample.take(random.integers(0, len(sample), count)), random))
    partial.rename(path)


def _sample(folder: pathlib.Path) -> pa.Table:
    tables, nulls = [], pa.csv.ConvertOptions(strings_can_be_null=True)
    for span in datasets.spans("taxi"):
        tables += [pa.csv.read_csv(p, convert_options=nulls) for p in _files(datasets.prepare("taxi", span, folder))]
    kinds = {field.name: field.type for table in tables for field in table.schema if field.type != pa.null()}
    # pyarrow takes a column of whole amounts for integers; any decimal makes it one of decimals.
    for table in tables:
        kinds |= {field.name: field.type for field in table.schema if pa.types.is_floating(field.type)}
    schema = pa.schema([(name, kinds[name]) for name in tables[0].column_names if name not in _LEAKS])
    return pa.concat_tables([table.select(schema.names).cast(schema) for table in tables])


def _files(laid_out: object) -> list[pathlib.Path]:
    path = pathlib.Path(str(laid_out))
    return sorted(path.glob("*.csv")) if path.is_dir() else [path]


def _noisy(table: pa.Table, random: np.random.Generator) -> pa.Table:
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        noise = random.standard_normal(len(table))
        if name in _AMOUNTS:
            column = pc.round(pc.multiply(column, np.maximum(0, 1 + _AMOUNTS[name] * noise)), 2)
        elif name in _PLACES:
            column = pc.round(pc.add(column, _PLACE_NOISE * noise), 9)
        elif name == "trip_seconds":
            column = pc.add(column, (np.abs(noise) * 10).astype(np.int64))
        columns[name] = column
    # In the sample one trip in 15,002 has it; a column of nothing would tell stock TFX no type.
    tracts = columns["dropoff_census_tract"]
    columns["pickup_census_tract"] = tracts.take(random.permutation(len(tracts)))
    return pa.table(columns)


def use_case(root: pathlib.Path) -> None:
    """Lays out workloads/bench and schemas/bench: the taxi workload's code, and the schema of all 18 columns."""
    for kind, source in (("workloads", home.ROOT / "pipelines" / "workloads"), ("schemas", home.ROOT / "schemas")):
        target = root / kind / "bench"
        target.mkdir(parents=True, exist_ok=True)
        for path in (source / "taxi").iterdir():
            if path.suffix in (".py", ".json", ".pbtxt"):
                (target / path.name).write_text(path.read_text())
    schema = root / "schemas" / "bench" / "schema.pbtxt"
    schema.write_text(schema.read_text() + _MORE_COLUMNS)
    (root / "workloads" / "bench" / "workload.yaml").write_text(_WORKLOAD)


# The taxi workload ignores these; here everybody reads all there is.
_MORE_COLUMNS = """
feature { name: "trip_start_timestamp" type: INT presence { min_fraction: 1.0 min_count: 1 } shape {} }
feature { name: "pickup_census_tract" type: INT presence { min_fraction: 0.1 min_count: 1 } value_count { min: 1 max: 1 } }
feature { name: "dropoff_census_tract" type: INT presence { min_fraction: 0.1 min_count: 1 } value_count { min: 1 max: 1 } }
"""

_WORKLOAD = f"""
name: bench
task: binary
description: The taxi workload with all columns, for benchmarks.
data:
  format: csv
  label: {{column: {LABEL}, positive_class: "1"}}
  split: {{eval_fraction: 0.3333}}
training:
  epochs: {EPOCHS}
  batch_size: {BATCH_SIZE}
  hyperparameters: {json.dumps(HYPERPARAMETERS)}
evaluation:
  thresholds: [{{metric: auc, min: 0.5}}]
  slices: [{SLICE}]
"""
