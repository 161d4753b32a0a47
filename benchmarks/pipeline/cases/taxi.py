"""Taxi-like trips of 18 columns, resampled from TFX's sample with noise."""

from __future__ import annotations

import json
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from benchmarks.pipeline import by_hand
from benchmarks.pipeline.case import Case, Column, Goal
from benchmarks.pipeline.csv_files import blocks, write_csv
from pipelines import datasets
from spec import home

if TYPE_CHECKING:
    import keras

    from components.trainer import ModelSchema

_SEED = 7
# The one of the sample's 19 columns that is left out: it gives the label away.
_LEAKS = ("tips",)
# Noise: relative for amounts; in degrees (about 100 m) for places.
_NOISE = {"fare": 0.05, "trip_miles": 0.05}
_PLACE_NOISE = 0.001

_AMOUNTS = ("fare", "trip_miles", "trip_seconds")
_PLACES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
_CYCLES = {"trip_start_hour": 24, "trip_start_day": 7, "trip_start_month": 12}
_CATEGORIES = ("payment_type", "company", "pickup_community_area", "dropoff_community_area")

# The taxi workload ignores these; here all sides read every column.
_MORE_COLUMNS = (
    Column("trip_start_timestamp", "INT"),
    Column("pickup_census_tract", "INT", required=False),
    Column("dropoff_census_tract", "INT", required=False),
)
_STAGES = ("ingestion", "statistics", "transform", "evaluation")


class Taxi(Case):
    """The taxi workload's features and model, on all columns."""

    title = "taxi trips"
    label = "big_tipper"
    slice_by = "trip_start_hour"  # 24 slices
    hyperparameters = {"learning_rate": 0.001, "embedding_size": 8, "hidden_units": 64, "dropout": 0.2}

    def goals(self, rows: int) -> tuple[Goal, ...]:
        if rows < 500_000:
            return tuple(Goal(line, "stock", 1) for line in (*_STAGES, "whole process"))
        stages = zip(_STAGES, (15, 5, 5, 15), strict=True)
        return (
            *(Goal(stage, "stock", bound) for stage, bound in stages),
            Goal("whole process", "stock", 6),
            Goal("whole process", "floor", 2.5),
            Goal("whole process", "growth", 1),
        )

    def generate(self, rows: int, folder: pathlib.Path) -> None:
        schema, tables = self.tables(rows)
        write_csv(folder / "trips.csv", schema, tables)

    def tables(self, rows: int) -> tuple[pa.Schema, Iterator[pa.Table]]:
        """Always the same trips, block by block."""
        with tempfile.TemporaryDirectory() as scratch:
            sample = _sample(pathlib.Path(scratch))
        random = np.random.default_rng(_SEED)
        return sample.schema, (
            _noisy(sample.take(random.integers(0, len(sample), count)), random) for count in blocks(rows)
        )

    def schema(self) -> str:
        text = (home.ROOT / "schemas" / "taxi" / "schema.pbtxt").read_text()
        return text + "".join(map(str, _MORE_COLUMNS))

    def expectations(self) -> dict[str, Any]:
        suite: dict[str, Any] = json.loads((home.ROOT / "schemas" / "taxi" / "expectations.json").read_text())
        return suite

    def preprocessing_fn(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from pipelines.workloads.taxi import features

        return features.preprocessing_fn(inputs)

    def build_model(self, schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
        from pipelines.workloads.taxi import model

        return model.build_model(schema, hyperparameters)

    def analyse(self, train: pa.Table) -> Any:
        mapping: dict[str, Any] = {name: by_hand.moments(_number(train, name)) for name in (*_AMOUNTS, *_PLACES)}
        for name in _CATEGORIES:
            mapping[name] = by_hand.vocabulary(train.column(name), top_k=80, fewest=5)
        return mapping

    def transform(self, table: pa.Table, analysed: Any) -> dict[str, np.ndarray]:
        data = {name: by_hand.standardised(_number(table, name), *analysed[name]) for name in (*_AMOUNTS, *_PLACES)}
        for name, period in _CYCLES.items():
            angle = table.column(name).to_numpy().astype(np.float32) * np.float32(2 * np.pi / period)
            data[f"{name}_sin"], data[f"{name}_cos"] = np.sin(angle), np.cos(angle)
        for name in _CATEGORIES:
            data[name] = by_hand.ids(table.column(name), analysed[name])
        return data

    def vocabulary_sizes(self, analysed: Any) -> dict[str, int]:
        return {name: len(analysed[name]) + 1 for name in _CATEGORIES}


def _sample(folder: pathlib.Path) -> pa.Table:
    tables, nulls = [], pa.csv.ConvertOptions(strings_can_be_null=True)
    for span in datasets.spans("taxi"):
        tables += [pa.csv.read_csv(p, convert_options=nulls) for p in _files(datasets.prepare("taxi", span, folder))]
    kinds = {field.name: field.type for table in tables for field in table.schema if field.type != pa.null()}
    # pyarrow reads a column of round amounts as integers; if it has decimals anywhere, it is a column of floats.
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
        if name in _NOISE:
            column = pc.round(pc.multiply(column, np.maximum(0, 1 + _NOISE[name] * noise)), 2)
        elif name in _PLACES:
            column = pc.round(pc.add(column, _PLACE_NOISE * noise), 9)
        elif name == "trip_seconds":
            column = pc.add(column, (np.abs(noise) * 10).astype(np.int64))
        columns[name] = column
    # Only one trip in 15,002 of the sample has it, and stock TFX cannot infer the type of an empty column.
    tracts = columns["dropoff_census_tract"]
    columns["pickup_census_tract"] = tracts.take(random.permutation(len(tracts)))
    return pa.table(columns)


def _number(table: pa.Table, name: str) -> np.ndarray:
    values = table.column(name).to_numpy().astype(np.float32)
    return np.log1p(np.maximum(values, 0)) if name in _AMOUNTS else values


CASE = Taxi()
