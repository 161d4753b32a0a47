"""Tiny real models and Examples for the components that judge and publish them."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

FEATURES: dict[str, dict[str, Any]] = {
    "fare": {"dtype": "float32", "shape": [], "nullable": True},
    "hour": {"dtype": "int64", "shape": [], "nullable": False},
    "company": {"dtype": "string", "shape": [], "nullable": True},
    "pixels": {"dtype": "float32", "shape": [2], "nullable": False},
}
CLASSES = {"binary": ["0", "1"], "multiclass": ["a", "b", "c"], "regression": [], "ranking": []}


def export_model(
    folder: pathlib.Path,
    task: str = "binary",
    *,
    weight: float = 1.0,
    without: tuple[str, ...] = (),
    damage: str = "",
    threshold: float = 0.5,
    explains: bool = False,
) -> pathlib.Path:
    """Exports a model with the signatures of the contract.

    Args:
        folder: of the artifact; the SavedModel is in Format-Serving.
        task: binary, multiclass, regression or ranking.
        weight: how much it listens to the features; 0 is a constant, a negative one is wrong.
        without: signatures to leave out.
        damage: "nan", "range", "examples" (another answer to serialized examples), "raise", "memory" or "loop".
        threshold: binary only: above which probability a row is called positive.
        explains: regression only: whether it has the signature `explain`.
    """
    import tensorflow as tf

    classes = CLASSES[task]

    def core(inputs: dict[str, Any]) -> dict[str, Any]:
        fare = tf.where(tf.math.is_nan(inputs["fare"]), 0.0, inputs["fare"])
        hour = tf.cast(inputs["hour"], tf.float32)
        cash = tf.where(inputs["company"] == "cash", 0.5, 0.0)
        z = weight * (fare + 0.1 * hour - 1.0 + cash + tf.reduce_sum(inputs["pixels"], axis=1))
        if damage == "raise":
            with tf.control_dependencies([tf.debugging.assert_less(z, -1e9, message="too warm today")]):
                z = tf.identity(z)
        if damage == "memory":
            z += tf.reduce_sum(tf.random.uniform([24_000, 24_000])) * 0.0
        if damage == "loop":
            _, z = tf.while_loop(lambda i, v: v[0] < 1e30, lambda i, v: (i + 1, tf.math.tanh(v)), [0, z])
        if damage == "nan":
            z *= float("nan")
        if task in ("regression", "ranking"):
            return {"prediction": z}
        if task == "binary":
            p = z * 5 if damage == "range" else tf.sigmoid(z)
            return {"probability": p, "label": tf.gather(tf.constant(classes), tf.cast(p > threshold, tf.int32))}
        p = tf.nn.softmax(tf.stack([-z, tf.zeros_like(z), z], axis=1))
        return {"probabilities": p, "label": tf.gather(tf.constant(classes), tf.argmax(p, axis=1))}

    def explain(**inputs: Any) -> dict[str, Any]:
        fare = tf.where(tf.math.is_nan(inputs["fare"]), 0.0, inputs["fare"])
        cash = tf.where(inputs["company"] == "cash", 0.5, 0.0)
        parts = {"fare": fare, "hour": 0.1 * tf.cast(inputs["hour"], tf.float32), "company": cash}
        parts["pixels"] = tf.reduce_sum(inputs["pixels"], axis=1)
        score = core(inputs)["prediction"]
        scores = {"explained": score, "baseline_score": tf.fill(tf.shape(score), -weight)}
        return scores | {f"{name}_attribution": weight * part for name, part in parts.items()}

    dtypes = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    sentinels = {"float32": float("nan"), "int64": -(2**63), "string": ""}

    def parse(serialized: Any) -> dict[str, Any]:
        spec = {
            name: tf.io.FixedLenFeature(
                f["shape"], dtypes[f["dtype"]], sentinels[f["dtype"]] if f["nullable"] else None
            )
            for name, f in FEATURES.items()
        }
        return tf.io.parse_example(serialized, spec)

    module = tf.Module()
    module.v = tf.Variable(1.0)
    tensors = {n: tf.TensorSpec([None, *f["shape"]], dtypes[f["dtype"]], name=n) for n, f in FEATURES.items()}
    strings = tf.TensorSpec([None], tf.string)

    def by_examples(examples: Any) -> dict[str, Any]:
        answers = core(parse(examples))
        if damage == "examples":
            answers = {n: v * 0.9 if v.dtype == tf.float32 else v for n, v in answers.items()}
        return answers

    def classify(inputs: Any) -> dict[str, Any]:
        answers = core(parse(inputs))
        p = answers.get("probabilities")
        scores = tf.stack([1 - answers["probability"], answers["probability"]], axis=1) if p is None else p
        return {"scores": scores, "classes": tf.tile(tf.constant([classes]), [tf.shape(scores)[0], 1])}

    signatures = {
        "serving_default": tf.function(lambda **inputs: core(inputs)).get_concrete_function(**tensors),
        "serving_examples": tf.function(by_examples).get_concrete_function(examples=strings),
    }
    if task in ("regression", "ranking"):
        regress = tf.function(lambda inputs: {"outputs": core(parse(inputs))["prediction"]})
        signatures["regress"] = regress.get_concrete_function(inputs=strings)
    else:
        signatures["classify"] = tf.function(classify).get_concrete_function(inputs=strings)
    if explains:
        signatures["explain"] = tf.function(explain).get_concrete_function(**tensors)
    kept = {name: function for name, function in signatures.items() if name not in without}
    saved_model = folder / "Format-Serving"
    tf.saved_model.save(module, str(saved_model), signatures=kept)
    described = {"task": task, "label": "target", "classes": classes, "features": FEATURES, "threshold": threshold}
    described["signatures"] = {"explain": FEATURES} if explains else {}
    (saved_model / "assets.extra").mkdir(exist_ok=True)
    (saved_model / "assets.extra" / "trainyard.json").write_text(json.dumps(described))
    return folder


def rows_of(count: int, task: str = "binary", seed: int = 1) -> pa.Table:
    """Raw rows whose label follows the features, with noise."""
    random = np.random.default_rng(seed)
    fare = random.normal(size=count).astype(np.float32)
    hour = random.integers(0, 24, count)
    company = random.choice(np.array(["cash", "card", "app"], dtype=object), count)
    pixels = random.normal(size=(count, 2)).astype(np.float32) * 0.3
    z = fare + 0.1 * hour - 1.0 + 0.5 * (company == "cash") + pixels.sum(axis=1) + random.normal(size=count)
    labels: dict[str, Any] = {
        "binary": pa.array((z > 0).astype(np.int64)),
        "multiclass": pa.array(np.array(["a", "b", "c"], dtype=object)[np.digitize(z, [-0.7, 0.7])]),
        "regression": pa.array(np.round(z, 4)),  # Examples keep what a float32 can
        "ranking": pa.array(np.clip(np.round(z + 0.5), 0, 4).astype(np.int64)),
    }
    missing = random.random(count) < 0.05
    rows = pa.table(
        {
            "fare": pa.array(fare, mask=missing),
            "hour": pa.array(hour),
            "company": pa.array(company, mask=random.random(count) < 0.05),
            "pixels": pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), 2),
            "target": labels[task],
        }
    )
    if task == "ranking":
        searches = random.integers(0, max(1, count // 12), count)
        rows = rows.append_column("search", pa.array([f"search {one}" for one in searches]))
    return rows


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., pa.Table]:
    """Raw rows (see rows_of)."""
    return rows_of


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., pathlib.Path]:
    """Exports a tiny model once per set of options (see export_model)."""
    made: dict[str, pathlib.Path] = {}

    def get(task: str = "binary", **options: Any) -> pathlib.Path:
        key = json.dumps([task, options], sort_keys=True)
        if key not in made:
            made[key] = export_model(tmp_path_factory.mktemp("model"), task, **options)
        return made[key]

    return get


@pytest.fixture
def model_artifact(model_folder: Callable[..., pathlib.Path]) -> Callable[..., Any]:
    """A Model artifact of a tiny model."""
    from tfx.types import standard_artifacts

    def make(task: str = "binary", *, champion_version: int = 0, **options: Any) -> Any:
        model = standard_artifacts.Model()
        model.uri = str(model_folder(task, **options))
        model.set_int_custom_property("champion_version", champion_version)
        return model

    return make


@pytest.fixture
def examples_artifact(tmp_path: pathlib.Path) -> Callable[..., Any]:
    """An Examples artifact with the rows given as its train and its test split."""
    from tfx.types import standard_artifacts

    from components.columnar import SplitWriter, encode_splits, mark_as_parquet
    from spec.splits import TEST, TRAIN

    def make(rows: pa.Table, span: int = 3, rows_per_group: int = 5000) -> Any:
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / "examples")
        for split in (TRAIN, TEST):
            with SplitWriter(examples.uri, split, rows.schema) as writer:
                for batch in rows.to_batches(max_chunksize=rows_per_group):
                    writer.write(batch)
        examples.split_names = encode_splits([TRAIN, TEST])
        examples.span = span
        mark_as_parquet(examples)
        examples.set_string_custom_property(
            "spans", json.dumps([{"span": span, "digest": "d3", "rows": rows.num_rows}])
        )
        return examples

    return make


@pytest.fixture
def output(tmp_path: pathlib.Path) -> Callable[..., dict[str, list[Any]]]:
    """Empty output artifacts by key."""

    def make(**types: Any) -> dict[str, list[Any]]:
        made = {}
        for key, kind in types.items():
            one = kind()
            one.uri = str(tmp_path / f"out-{key}-{len(list(tmp_path.iterdir()))}")
            made[key] = [one]
        return made

    return make


@dataclasses.dataclass(frozen=True)
class Taxi:
    """The taxi workload's first span (7,502 rows), ingested by our ExampleGen, and its schema."""

    examples: Any
    schema: Any
    features: pathlib.Path


@pytest.fixture(scope="session")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Taxi:
    """Artifacts as the pipeline has them: what TFX's own components read must be what we write."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components import border
    from components.ingestion import sources
    from components.ingestion.executor import Executor
    from pipelines import datasets
    from spec import home
    from spec.workload import Ingestion, load_workload

    root = tmp_path_factory.mktemp("taxi")
    workload = load_workload(home.workloads_root() / "taxi")
    files = datasets.prepare("taxi", 1, root / "landing")
    config = Ingestion(uri=f"{files}/*.csv", format="csv", label=workload.data.label, ignore=workload.data.ignore)
    schema, examples = standard_artifacts.Schema(), standard_artifacts.Examples()
    schema.uri, examples.uri = str(root / "schema"), str(root / "examples")
    pathlib.Path(schema.uri).mkdir()
    shutil.copy(home.schemas_root() / "taxi" / "schema.pbtxt", schema.uri)  # TFX wants it alone in its folder
    spans = [{**dataclasses.asdict(one), "span": one.number} for one in sources.resolve_window(config.uri, 0, 1)]
    context = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(root / "tmp"), unique_id="1")
    Executor(context).Do(
        {"schema": [schema]},
        {"examples": [examples]},
        {"input_config": border.dump(config), "spans": json.dumps(spans), "span": 0},
    )
    return Taxi(examples, schema, home.workloads_root() / "taxi" / "features.py")
