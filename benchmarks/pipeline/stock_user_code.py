"""What a user of stock TFX writes: preprocessing_fn and run_fn, modelled on TFX's taxi and penguin examples.

`custom_config` names the case, whose features and model are used, so that all sides compute the same.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx_bsl.public import tfxio

from benchmarks.pipeline import case as cases
from benchmarks.pipeline import keras_models
from benchmarks.pipeline.case import EVAL_BATCH_SIZE
from components.trainer import Feature


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    case = cases.load(custom_config["case"])
    features = {name: column for name, column in inputs.items() if name != case.label}
    return {**case.preprocessing_fn(features), case.label: inputs[case.label]}


def run_fn(fn_args: FnArgs) -> None:
    case = cases.load(fn_args.custom_config["case"])
    transform = tft.TFTransformOutput(fn_args.transform_output)
    model = keras_models.compiled(case, _features(transform, case.label))
    model.fit(
        _dataset(fn_args.train_files, fn_args, transform, case.label, case.batch_size),
        epochs=case.epochs,
        steps_per_epoch=fn_args.train_steps // case.epochs,
        validation_data=_dataset(fn_args.eval_files, fn_args, transform, case.label, EVAL_BATCH_SIZE),
        validation_steps=fn_args.eval_steps,
        callbacks=keras_models.callbacks(case),
        verbose=2,
    )
    served = tf.Module()
    served.model, served.layer = model, transform.transform_features_layer()
    served.state = [variable.value for variable in model.variables]
    specs = {name: spec for name, spec in transform.raw_feature_spec().items() if name != case.label}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": model(served.layer(tf.io.parse_example(examples, specs)), training=False)}

    tf.saved_model.save(served, fn_args.serving_model_dir, signatures={"serving_default": serve})


def _dataset(
    files: list[str], fn_args: FnArgs, transform: tft.TFTransformOutput, label: str, batch_size: int
) -> tf.data.Dataset:
    options = tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=label)
    return fn_args.data_accessor.tf_dataset_factory(files, options, transform.transformed_metadata.schema).repeat()


def _features(transform: tft.TFTransformOutput, label: str) -> dict[str, Feature]:
    sizes = {
        f.name: f.int_domain.max + 1 for f in transform.transformed_metadata.schema.feature if f.HasField("int_domain")
    }
    specs = sorted((n, s) for n, s in transform.transformed_feature_spec().items() if n != label)
    return {n: Feature(n, s.dtype.name, tuple(s.shape), sizes.get(n)) for n, s in specs}
