"""Stock TFX on a case, with a pipeline built as in its documentation.

Usage: python -m benchmarks.pipeline.stock CASE DATA ROOT OUT.json ROWS

DATA is the folder with the files, ROOT receives the artifacts, and ROOT/schemas/bench/schema.pbtxt is the schema.
"""

from __future__ import annotations

import json
import pathlib
import sys

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx
from tfx.orchestration import metadata

from benchmarks.pipeline import case as cases
from benchmarks.pipeline.case import EVAL_BATCH_SIZE, Case
from spec.splits import SPLITS, TEST

_USER_CODE = "benchmarks.pipeline.stock_user_code"
_BEAM = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]
_EXAMPLE_GEN = {"csv": tfx.components.CsvExampleGen, "tfrecord": tfx.components.ImportExampleGen}
# TFMA's names for what our Evaluator always computes. Its macro F1 is left out: it binarises at 0.5, which is a different metric.
_METRICS = {
    "binary": (
        {"class_name": "AUC"},
        {"class_name": "AUCPrecisionRecall"},
        {"class_name": "BinaryAccuracy"},
        {"class_name": "Precision"},
        {"class_name": "Recall"},
        {"class_name": "F1Score"},
        {"class_name": "BinaryCrossEntropy"},
        {"class_name": "Calibration"},
        {"class_name": "ExampleCount"},
    ),
    "multiclass": (
        {"class_name": "SparseCategoricalAccuracy"},
        {"class_name": "SparseTopKCategoricalAccuracy", "config": '"k": 3'},
        {"class_name": "SparseCategoricalCrossentropy"},
        {"class_name": "ExampleCount"},
    ),
}
_TFMA_NAMES = {"auc": "auc", "accuracy": "sparse_categorical_accuracy"}


def pipeline(name: str, data: pathlib.Path, root: pathlib.Path, rows: int) -> tfx.dsl.Pipeline:
    """The same graph as Trainyard's, without the gates that stock TFX does not have."""
    case = cases.load(name)
    examples = _EXAMPLE_GEN[case.format](input_base=str(data), output_config=_splits(case))
    schema = tfx.components.ImportSchemaGen(schema_file=str(root / "schemas" / "bench" / "schema.pbtxt"))
    statistics = tfx.components.StatisticsGen(examples.outputs["examples"], schema=schema.outputs["schema"])
    validator = tfx.components.ExampleValidator(statistics.outputs["statistics"], schema.outputs["schema"])
    transform = tfx.components.Transform(
        examples.outputs["examples"],
        schema.outputs["schema"],
        preprocessing_fn=f"{_USER_CODE}.preprocessing_fn",
        custom_config={"case": name},
    )
    train = rows * case.buckets[0] // sum(case.buckets)
    trainer = tfx.components.Trainer(
        run_fn=f"{_USER_CODE}.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=case.epochs * (train // case.batch_size)),
        eval_args=tfx.proto.EvalArgs(num_steps=max(1, rows * case.buckets[1] // sum(case.buckets) // EVAL_BATCH_SIZE)),
        custom_config={"case": name},
    )
    evaluator = tfx.components.Evaluator(
        examples=examples.outputs["examples"],
        example_splits=[TEST],
        model=trainer.outputs["model"],
        schema=schema.outputs["schema"],
        eval_config=_evaluation(case),
    )
    return tfx.dsl.Pipeline(
        pipeline_name="stock",
        pipeline_root=str(root / "artifacts"),
        components=[examples, schema, statistics, validator, transform, trainer, evaluator],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(root / "mlmd.sqlite")
        ),
        beam_pipeline_args=_BEAM,
    )


def _splits(case: Case) -> tfx.proto.Output:
    splits = [
        tfx.proto.SplitConfig.Split(name=name, hash_buckets=buckets)
        for name, buckets in zip(SPLITS, case.buckets, strict=True)
    ]
    return tfx.proto.Output(split_config=tfx.proto.SplitConfig(splits=splits))


def _evaluation(case: Case) -> tfma.EvalConfig:
    config = tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name="serving_default", label_key=case.label)],
        slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=[case.slice_by])],
        metrics_specs=[tfma.MetricsSpec(metrics=[tfma.MetricConfig(**metric) for metric in _METRICS[case.task]])],
    )
    config.metrics_specs[0].thresholds[_TFMA_NAMES[case.metric]].value_threshold.lower_bound.value = 0.5
    return config


def main(arguments: list[str]) -> int:
    name = arguments[0]
    data, root, out = map(pathlib.Path, arguments[1:4])
    tfx.orchestration.LocalDagRunner().run(pipeline(name, data, root, int(arguments[4])))
    out.write_text(json.dumps(_seconds(root, _TFMA_NAMES[cases.load(name).metric])))
    return 0


def _seconds(root: pathlib.Path, metric: str) -> dict[str, object]:
    """Seconds of each node, as MLMD recorded them, and what the model scored."""
    config = metadata.sqlite_metadata_connection_config(str(root / "mlmd.sqlite"))
    with metadata.Metadata(config) as handle:
        kinds = {t.id: t.name.rpartition(".")[2] for t in handle.store.get_execution_types()}
        found = {
            kinds[e.type_id]: (e.last_update_time_since_epoch - e.create_time_since_epoch) / 1000
            for e in handle.store.get_executions()
        }
        (evaluation,) = handle.store.get_artifacts_by_type("ModelEvaluation")
    metrics = tfma.load_eval_result(evaluation.uri).get_metrics_for_slice()
    return {
        "seconds": found,
        "quality": float(metrics[metric]["doubleValue"]),
        "eval_rows": int(metrics["example_count"]["doubleValue"]),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
