"""A training, here (`main`) or in a process of its own, where devices, clusters and deaths belong: `python fitting.py JSON`."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.fuse import FUSE, IMPORTS

MODEL = (
    IMPORTS
    + FUSE
    + """

def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    parts = [keras.ops.expand_dims(inputs["half"], -1) / 500.0, keras.layers.Embedding(1030, 4)(inputs["number"])]
    if hyperparameters.get("text", True):
        parts.append(keras.layers.StringLookup(vocabulary=["1", "2"], output_mode="one_hot")(inputs["text"]))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Concatenate()(parts))
    if hyperparameters.get("noise"):
        x = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(x))
    if hyperparameters.get("fuse"):
        x = Fuse()(x)
    return keras.Model(inputs, schema.outputs(x))
"""
)


@dataclasses.dataclass
class Job:
    """What to train.

    Attributes:
        uri: of Examples with the columns `number`, `half`, `text` and `y`, split train.
        module: a file with MODEL.
        result: where `<result>.json` (history), `<result>.npz` (weights) and TensorBoard's files go.
        config: fields of TrainingConfig.
        cpus: logical devices.
        checkpoints: a folder; empty: none.
        rows: whether the `number`s that reach this process go to `<result>.rows`, a list for each batch and device.
    """

    uri: str
    module: str
    result: str
    config: dict[str, Any]
    cpus: int = 1
    checkpoints: str = ""
    rows: bool = False

    def json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def weights(result: str | pathlib.Path) -> list[npt.NDArray[Any]]:
    with np.load(f"{result}.npz") as kept:
        return [kept[f"arr_{i}"] for i in range(len(kept.files))]


def history(result: str | pathlib.Path) -> Mapping[str, Any]:
    return json.loads(pathlib.Path(f"{result}.json").read_text())


def main(job: Job) -> None:
    import keras
    import tensorflow as tf

    from components.tasks import find
    from components.trainer import Feature, ModelSchema, TrainingConfig, _checkpoints, _devices, _fitting
    from components.trainer._checks import SplitChecks
    from components.trainer._input import open_split

    if job.cpus > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * job.cpus)
    config = TrainingConfig(task="binary", label="y", **job.config)
    devices = _devices.find(config)
    kinds = {"half": "float32", "number": "int64", "text": "string"}
    if not config.hyperparameters.get("text", True):
        del kinds["text"]
    features = {name: Feature(name, dtype) for name, dtype in kinds.items()}
    split = open_split(
        job.uri, "train", features.values(), SplitChecks("train", find("binary")(("no", "yes")), "y"), 12_000
    )
    devices = devices.that_share(config.batch_size, train=split.rows)
    keras.utils.set_random_seed(config.seed)
    schema = ModelSchema(features, "binary", "y", ("no", "yes"))
    with devices.scope():
        model = _fitting.build(job.module, schema, config, split.rows)
    kept = _checkpoints.Checkpoints(pathlib.Path(job.checkpoints), "key") if job.checkpoints else None
    logs = pathlib.Path(job.result + ".logs")
    found = _fitting.fit(model, split, split, config, logs, devices, checkpoints=kept)
    if job.rows:
        data = split.dataset(config.batch_size, config.seed, devices.replicas)
        mine = [
            part.numpy().tolist()
            for features, _ in devices.strategy.experimental_distribute_dataset(data)
            for part in devices.strategy.experimental_local_results(features["number"])
        ]
        pathlib.Path(job.result + ".rows").write_text(json.dumps(mine))
    if not devices.are_plain:
        model = _fitting.rebuilt(model, job.module, schema, config, split.rows)
    pathlib.Path(job.result + ".json").write_text(json.dumps({**found, "chief": devices.is_chief}))
    np.savez(job.result + ".npz", *model.get_weights())


if __name__ == "__main__":
    main(Job(**json.loads(sys.argv[1])))
