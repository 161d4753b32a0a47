"""Stock TFX on the taxi use case, as its documentation builds a pipeline.

Usage: python -m benchmarks.pipeline.stock DATA ROOT OUT.json ROWS

DATA is the folder of the CSV, ROOT takes the artifacts, and ROOT/schemas/bench/schema.pbtxt is the schema.
"""

from __future__ import annotations

import json
import pathlib
import sys

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx
from tfx.orchestration import metadata

from benchmarks.pipeline.data import BATCH_SIZE, EPOCHS, EVAL_BATCH_SIZE, LABEL, SLICE

_USER_CODE = "benchmarks.pipeline.stock_user_code"
_BEAM = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]
# TFMA's names for what our Evaluator always computes.
_METRICS = (
    {"class_name": "AUC"},
    {"class_name": "AUCPrecisionRecall"},
    {"class_name": "BinaryAccuracy"},
    {"class_name": "Precision"},
    {"class_name": "Recall"},
    {"class_name": "F1Score"},
    {"class_name": "BinaryCrossEntropy"},
    {"class_name": "Calibration"},
    {"class_name": "ExampleCount"},
)


def pipeline(data: pathlib.Path, root: pathlib.Path, rows: int) -> tfx.dsl.Pipeline:
    """The graph: what Trainyard's has, less the gates that stock TFX does not have."""
    examples = tfx.components.CsvExampleGen(input_base=str(data))  # by default two thirds train, one third eval
    schema = tfx.components.ImportSchemaGen(schema_file=str(root / "schemas" / "bench" / "schema.pbtxt"))
    statistics = tfx.components.StatisticsGen(examples.outputs["examples"], schema=schema.outputs["schema"])
    validator = tfx.components.ExampleValidator(statistics.outputs["statistics"], schema.outputs["schema"])
    transform = tfx.components.Transform(
        examples.outputs["examples"], schema.outputs["schema"], preprocessing_fn=f"{_USER_CODE}.preprocessing_fn"
    )
    train = rows * 2 // 3
    trainer = tfx.components.Trainer(
        run_fn=f"{_USER_CODE}.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=EPOCHS * (train // BATCH_SIZE)),
        eval_args=tfx.proto.EvalArgs(num_steps=(rows - train) // EVAL_BATCH_SIZE),
    )
    config = tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name="serving_default", label_key=LABEL)],
        slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=[SLICE])],
        metrics_specs=[tfma.MetricsSpec(metrics=[tfma.MetricConfig(**metric) for metric in _METRICS])],
    )
    config.metrics_specs[0].thresholds["auc"].value_threshold.lower_bound.value = 0.5
    evaluator = tfx.components.Evaluator(
        examples=examples.outputs["examples"],
        example_splits=["eval"],
        model=trainer.outputs["model"],
        schema=schema.outputs["schema"],
        eval_config=config,
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


def main(arguments: list[str]) -> int:
    data, root, out = map(pathlib.Path, arguments[:3])
    tfx.orchestration.LocalDagRunner().run(pipeline(data, root, int(arguments[3])))
    out.write_text(json.dumps(_seconds(root)))
    return 0


def _seconds(root: pathlib.Path) -> dict[str, object]:
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
        "auc": float(metrics["auc"]["doubleValue"]),
        "eval_rows": int(metrics["example_count"]["doubleValue"]),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
