"""The same work by hand, with pyarrow, numpy and Keras, as a measure of what the hardware allows.

It has no schema gate, metadata, cache or lineage. Usage: python -m benchmarks.pipeline.floor CASE DATA ROOT OUT.json ROWS
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.pipeline import case as cases
from benchmarks.pipeline.case import EVAL_BATCH_SIZE, Case
from benchmarks.running import Stopwatch
from spec.splits import EVAL, SPLITS, TEST, TRAIN

_THRESHOLDS = 10_000

Columns = dict[str, np.ndarray]


def main(arguments: list[str]) -> int:
    case = cases.load(arguments[0])
    source, root, out = map(pathlib.Path, arguments[1:4])
    watch = Stopwatch()
    table = case.read(source)
    ends = np.cumsum([case.share(split) for split in SPLITS[:-1]])
    places = np.searchsorted(ends, np.random.default_rng(1).random(len(table)), side="right")
    splits = {split: table.filter(pa.array(places == place)) for place, split in enumerate(SPLITS)}
    watch.lap("ingestion")
    statistics = {name: statistics_of(split) for name, split in splits.items()}
    (root / "statistics.json").write_text(json.dumps(statistics, default=str))
    watch.lap("statistics")
    analysed = case.analyse(splits[TRAIN])
    features = {name: case.transform(split, analysed) for name, split in splits.items()}
    watch.lap("transform")
    labels = {name: split.column(case.label).to_numpy() for name, split in splits.items()}
    model = _train(case, features, labels, case.vocabulary_sizes(analysed))
    watch.lap("training")
    slices = splits[TEST].column(case.slice_by).to_numpy()
    quality = _evaluate(case, model, features[TEST], labels[TEST], slices)
    watch.lap("evaluation")
    model.export(str(root / "exported"), verbose=False)
    watch.lap("training")  # the other sides export in their Trainer
    out.write_text(json.dumps({"seconds": watch.seconds, "quality": quality, "eval_rows": len(splits[TEST])}))
    return 0


def statistics_of(table: pa.Table) -> dict[str, Any]:
    """What a data team looks at: missing and distinct values, the top values of texts, moments and quantiles of numbers."""
    found: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        found[name] = {"count": len(column), "missing": column.null_count}
        if pa.types.is_string(column.type):
            counts = pc.value_counts(column.drop_null())
            top = pc.sort_indices(counts.field("counts"), sort_keys=[("", "descending")])[:20]
            found[name] |= {"top": counts.take(top).to_pylist(), "unique": len(counts)}
        elif pa.types.is_binary(column.type):
            lengths = pc.binary_length(column)
            found[name] |= {"shortest": pc.min(lengths).as_py(), "longest": pc.max(lengths).as_py()}
        elif column.null_count < len(column):
            found[name] |= _moments(column.drop_null().to_numpy().astype(np.float64))
    return found


def _moments(values: np.ndarray) -> dict[str, Any]:
    edges = np.linspace(values.min(), values.max(), 11)
    return {
        "mean": values.mean(),
        "std": values.std(),
        "zeros": int((values == 0).sum()),
        "quantiles": np.quantile(values, np.linspace(0, 1, 11)).tolist(),
        "histogram": np.histogram(values, edges)[0].tolist(),
    }


def _train(case: Case, features: dict[str, Columns], labels: Columns, sizes: dict[str, int]) -> Any:
    from benchmarks.pipeline import keras_models
    from components.trainer import Feature

    sample = features[TRAIN]
    inputs = {n: Feature(n, str(sample[n].dtype), sample[n].shape[1:], sizes.get(n)) for n in sorted(sample)}
    model = keras_models.compiled(case, inputs)
    model.fit(
        features[TRAIN],
        labels[TRAIN],
        epochs=case.epochs,
        batch_size=case.batch_size,
        validation_data=(features[EVAL], labels[EVAL]),
        validation_batch_size=EVAL_BATCH_SIZE,
        callbacks=keras_models.callbacks(case),
        verbose=2,
    )
    return model


def _evaluate(case: Case, model: Any, features: Columns, labels: np.ndarray, slices: np.ndarray) -> float:
    scores = model.predict(features, batch_size=8192, verbose=0)
    measure = _binary_metrics if len(case.classes) == 2 else _multiclass_metrics
    for value in np.unique(slices):
        measure(scores[slices == value], labels[slices == value])
    return measure(scores, labels)[case.metric]


def _binary_metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    scores = scores[:, 0]
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


def _multiclass_metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    chances = scores[np.arange(len(labels)), labels]
    rank = (scores > chances[:, None]).sum(axis=1)
    return {
        "accuracy": float((rank == 0).mean()),
        "top_3_accuracy": float((rank < 3).mean()),
        "log_loss": float(-np.mean(np.log(np.clip(chances, 1e-7, 1)))),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
