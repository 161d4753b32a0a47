"""The same work by hand, with pyarrow, numpy and Keras: what the hardware allows.

No schema gate, no metadata, no cache, no lineage, one file of code. Usage: python -m benchmarks.pipeline.floor CSV ROOT OUT.json
"""

from __future__ import annotations

import json
import pathlib
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from benchmarks.pipeline.data import BATCH_SIZE, EPOCHS, EVAL_BATCH_SIZE, HYPERPARAMETERS, LABEL, SLICE

_AMOUNTS = ("fare", "trip_miles", "trip_seconds")
_PLACES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
_CYCLES = {"trip_start_hour": 24, "trip_start_day": 7, "trip_start_month": 12}
_CATEGORIES = ("payment_type", "company", "pickup_community_area", "dropoff_community_area")
_TOP_K, _MIN_COUNT = 80, 5
_THRESHOLDS = 10_000

Columns = dict[str, np.ndarray]


def main(arguments: list[str]) -> int:
    source, root, out = map(pathlib.Path, arguments[:3])
    seconds: dict[str, float] = {}
    clock = time.monotonic()

    def lap(stage: str) -> None:
        nonlocal clock
        seconds[stage] = round(time.monotonic() - clock, 3)
        clock = time.monotonic()

    table = pa.csv.read_csv(source)
    is_eval = np.random.default_rng(1).random(len(table)) < 1 / 3
    splits = {"train": table.filter(pa.array(~is_eval)), "eval": table.filter(pa.array(is_eval))}
    lap("read")
    statistics = {name: _statistics(split) for name, split in splits.items()}
    (root / "statistics.json").write_text(json.dumps(statistics, default=str))
    lap("statistics")
    mapping = _analyse(splits["train"])
    data = {name: _transform(split, mapping) for name, split in splits.items()}
    lap("transform")
    model = _train(data, mapping)
    lap("train")
    auc = _evaluate(model, data["eval"], splits["eval"].column(SLICE).to_numpy())
    lap("evaluate")
    model.export(str(root / "exported"), verbose=False)
    lap("export")
    out.write_text(json.dumps({"seconds": seconds, "auc": auc, "eval_rows": int(is_eval.sum())}))
    return 0


def _statistics(table: pa.Table) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        found[name] = {"count": len(column), "missing": column.null_count}
        if pa.types.is_string(column.type):
            counts = pc.value_counts(column.drop_null()).to_pylist()
            found[name]["top"] = sorted(counts, key=lambda one: -one["counts"])[:20]
            found[name]["unique"] = len(counts)
            continue
        values = column.drop_null().to_numpy().astype(np.float64)
        edges = np.linspace(values.min(), values.max(), 11)
        found[name] |= {
            "mean": values.mean(),
            "std": values.std(),
            "zeros": int((values == 0).sum()),
            "quantiles": np.quantile(values, np.linspace(0, 1, 11)).tolist(),
            "histogram": np.histogram(values, edges)[0].tolist(),
        }
    return found


def _analyse(train: pa.Table) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for name in (*_AMOUNTS, *_PLACES):
        values = _number(train, name)
        mapping[name] = float(np.nanmean(values)), float(np.nanstd(values))
    for name in _CATEGORIES:
        counts = pc.value_counts(train.column(name))
        order = pc.sort_indices(counts.field("counts"), sort_keys=[("", "descending")])
        kept = counts.take(order)[:_TOP_K].filter(
            pc.greater_equal(counts.take(order)[:_TOP_K].field("counts"), _MIN_COUNT)
        )
        mapping[name] = kept.field("values")
    return mapping


def _number(table: pa.Table, name: str) -> np.ndarray:
    values = table.column(name).to_numpy().astype(np.float32)
    return np.log1p(np.maximum(values, 0)) if name in _AMOUNTS else values


def _transform(table: pa.Table, mapping: dict[str, Any]) -> Columns:
    data: Columns = {LABEL: table.column(LABEL).to_numpy()}
    for name in (*_AMOUNTS, *_PLACES):
        mean, deviation = mapping[name]
        data[name] = np.nan_to_num((_number(table, name) - mean) / deviation)
    for name, period in _CYCLES.items():
        angle = table.column(name).to_numpy().astype(np.float32) * np.float32(2 * np.pi / period)
        data[f"{name}_sin"], data[f"{name}_cos"] = np.sin(angle), np.cos(angle)
    for name in _CATEGORIES:
        codes = pc.index_in(table.column(name), mapping[name]).to_numpy()
        data[name] = np.where(np.isnan(codes), len(mapping[name]), codes).astype(np.int64)
    return data


def _train(data: dict[str, Columns], mapping: dict[str, Any]) -> Any:
    import keras

    from components.trainer import Feature, ModelSchema
    from pipelines.workloads.taxi import model

    names = sorted(name for name in data["train"] if name != LABEL)
    features = {
        n: Feature(n, "int64", (), len(mapping[n]) + 1) if n in _CATEGORIES else Feature(n, "float32") for n in names
    }
    built = model.build_model(ModelSchema(features, "binary", LABEL, ("0", "1")), HYPERPARAMETERS)
    built.compile(
        keras.optimizers.Adam(HYPERPARAMETERS["learning_rate"]),
        "binary_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(name="auc")],
    )
    train, evaluation = (({n: one[n] for n in names}, one[LABEL]) for one in (data["train"], data["eval"]))
    built.fit(
        *train,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        validation_data=evaluation,
        validation_batch_size=EVAL_BATCH_SIZE,
        verbose=2,
    )
    return built


def _evaluate(model: Any, data: Columns, slices: np.ndarray) -> float:
    inputs = {name: values for name, values in data.items() if name != LABEL}
    scores, labels = model.predict(inputs, batch_size=8192, verbose=0)[:, 0], data[LABEL]
    for value in np.unique(slices):
        _metrics(scores[slices == value], labels[slices == value])
    return _metrics(scores, labels)["auc"]


def _metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    bucket = (scores * (_THRESHOLDS - 1)).astype(np.int64)
    negatives, positives = (np.bincount(bucket[labels == y], minlength=_THRESHOLDS) for y in (0, 1))
    tp, fp = np.cumsum(positives[::-1]), np.cumsum(negatives[::-1])
    recall, fall_out = tp / max(1, tp[-1]), fp / max(1, fp[-1])
    called = (scores >= 0.5).astype(int)
    hits = int((called & labels).sum())
    precision = hits / max(1, called.sum())
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    return {
        "auc": float(np.trapezoid(recall, fall_out)),
        "auc_pr": float(np.trapezoid(tp / np.maximum(1, tp + fp), recall)),
        "accuracy": float((called == labels).mean()),
        "precision": precision,
        "recall": hits / max(1, labels.sum()),
        "log_loss": float(-np.mean(np.where(labels == 1, np.log(clipped), np.log(1 - clipped)))),
        "calibration": float(scores.mean() / max(1e-9, labels.mean())),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
