"""What a user of stock TFX writes: preprocessing_fn and run_fn, after TFX's own taxi and penguin examples.

Features and model are the taxi workload's, so that both sides compute the same.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx_bsl.public import tfxio

from benchmarks.pipeline.data import BATCH_SIZE, EPOCHS, EVAL_BATCH_SIZE, HYPERPARAMETERS, LABEL
from components.trainer import Feature, ModelSchema
from pipelines.workloads.taxi import features, model


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    return {**features.preprocessing_fn(inputs), LABEL: inputs[LABEL]}


def run_fn(fn_args: FnArgs) -> None:
    transform = tft.TFTransformOutput(fn_args.transform_output)
    built = model.build_model(_schema(transform), HYPERPARAMETERS)
    built.compile(
        keras.optimizers.Adam(HYPERPARAMETERS["learning_rate"]),
        "binary_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(name="auc")],
    )
    built.fit(
        _dataset(fn_args.train_files, fn_args, transform, BATCH_SIZE),
        epochs=EPOCHS,
        steps_per_epoch=fn_args.train_steps // EPOCHS,
        validation_data=_dataset(fn_args.eval_files, fn_args, transform, EVAL_BATCH_SIZE),
        validation_steps=fn_args.eval_steps,
        verbose=2,
    )
    served = tf.Module()
    served.model, served.layer = built, transform.transform_features_layer()
    served.state = [variable.value for variable in built.variables]
    specs = {name: spec for name, spec in transform.raw_feature_spec().items() if name != LABEL}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": built(served.layer(tf.io.parse_example(examples, specs)), training=False)}

    tf.saved_model.save(served, fn_args.serving_model_dir, signatures={"serving_default": serve})


def _dataset(files: list[str], fn_args: FnArgs, transform: tft.TFTransformOutput, batch_size: int) -> tf.data.Dataset:
    options = tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=LABEL)
    return fn_args.data_accessor.tf_dataset_factory(files, options, transform.transformed_metadata.schema).repeat()


def _schema(transform: tft.TFTransformOutput) -> ModelSchema:
    sizes = {
        f.name: f.int_domain.max + 1 for f in transform.transformed_metadata.schema.feature if f.HasField("int_domain")
    }
    specs = sorted((n, s) for n, s in transform.transformed_feature_spec().items() if n != LABEL)
    found = {n: Feature(n, s.dtype.name, tuple(s.shape), sizes.get(n)) for n, s in specs}
    return ModelSchema(found, "binary", LABEL, ("0", "1"))
