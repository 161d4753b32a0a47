"""What a training runs on: the devices there are, the strategy that shares batches among them, and the precision."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from components.trainer._config import TrainingConfig
from spec.errors import InputError

_log = logging.getLogger(__name__)

# From this compute capability on a GPU multiplies bfloat16, which needs no loss scaling.
_BFLOAT16 = (8, 0)


@dataclasses.dataclass(frozen=True)
class Devices:
    """Devices, and how they are used. `find` makes one.

    Attributes:
        distribution: none, mirrored or multi_worker: what is done; auto is multi_worker where TF_CONFIG names several workers.
        names: of the devices of this process, e.g. `GPU:0 NVIDIA H100 80GB HBM3`.
        policy: Keras's dtype policy of the model's layers.
        strategy: shares each batch among replicas; None on one device.
        chosen: whether the workload names the distribution; otherwise (auto) one device will do where sharing cannot work.
    """

    distribution: str
    names: tuple[str, ...]
    policy: str = "float32"
    strategy: Any = None
    chosen: bool = False

    @property
    def replicas(self) -> int:
        """Copies of the model that each take a share of a batch, of all workers together."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the model: always, unless it is one of several workers."""
        if self.distribution != "multi_worker":
            return True
        resolver = self.strategy.cluster_resolver
        return resolver.task_type in (None, "chief") or (
            resolver.task_type == "worker" and resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
        )

    @property
    def are_plain(self) -> bool:
        """Whether a model made for them is one that any machine can serve: float32, one copy of each variable."""
        return self.strategy is None and self.policy == "float32"

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Where a model for these devices has to be built."""
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.policy)
        try:
            with self.strategy.scope() if self.strategy else contextlib.nullcontext():
                yield
        finally:
            keras.config.set_dtype_policy(before)

    def that_share(self, batch_size: int, **rows: int) -> Devices:
        """These devices, if every one of them gets rows of every batch; under `auto` else the first.

        A batch without rows for a replica makes means of nothing, and so weights that are no numbers.

        Args:
            batch_size: rows a step, of all replicas together.
            rows: of each split by its name.

        Raises:
            InputError: they cannot share, and the workload asks for it.
        """
        least = least_batch(self.replicas)
        what, count = min(
            (("training.batch_size", batch_size), *((f"split {name}", n) for name, n in rows.items())),
            key=lambda one: one[1],
        )
        if count >= least:
            return self
        problem = f"{what}: {self.replicas} devices share batches of at least {least} rows. Received: {count}."
        if self.chosen:
            raise InputError(f"{problem} Raise it, or set training.distribution: none.")
        _log.warning("%s Training on %s alone.", problem, self.names[0])
        return dataclasses.replace(self, distribution="none", names=self.names[:1], strategy=None)


def least_batch(replicas: int) -> int:
    """Rows a batch needs so that each replica gets some, the last two batches of a pass included.

    TensorFlow gives each replica ceil(rows / replicas) rows until none are left: of 9 rows for 8 replicas, the first four get 2
    and the last three nothing. From (replicas - 1)² + 1 rows on that cannot happen, and evening out takes replicas - 1 away.
    """
    return replicas**2 if replicas > 1 else 1


def find(config: TrainingConfig) -> Devices:
    """The devices for this training. To be called before TensorFlow does anything else in a node's process.

    Raises:
        InputError: what the configuration asks for is not there.
    """
    gpus = tf.config.list_physical_devices("GPU")
    _let_memory_grow(gpus)
    # A cluster has to be known before anything asks TensorFlow for its devices.
    is_worker = config.distribution == "multi_worker" or (config.distribution == "auto" and _is_one_of_several())
    if is_worker and config.privacy:
        raise InputError(
            "training.privacy takes one device. This pool has several machines: choose one of a single node."
        )
    workers = _multi_worker_strategy() if is_worker else None
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    policy = _policy(details) if config.mixed_precision else "float32"
    if gpus:
        names = tuple(f"GPU:{i} {one.get('device_name', '')}".strip() for i, one in enumerate(details))
    else:
        # In a cluster the list has the devices of all workers.
        names = tuple(f"CPU:{i}" for i in range(1 if workers else len(tf.config.list_logical_devices("CPU"))))
    if workers:
        return Devices("multi_worker", names, policy, workers, chosen=True)
    if config.distribution == "mirrored" or (config.distribution == "auto" and len(gpus) > 1 and not config.privacy):
        strategy = tf.distribute.MirroredStrategy([name.split(" ")[0] for name in names])
        return Devices("mirrored", names, policy, strategy, chosen=config.distribution == "mirrored")
    return Devices("none", names[:1], policy)


def _let_memory_grow(gpus: list[Any]) -> None:
    """TensorFlow would take all of a GPU's memory, and leave none to the process that checks the exported model."""
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # an earlier node in this process has used it
            _log.warning("%s is in use already: it keeps the memory that it took.", gpu.name)


def _policy(details: list[dict[str, Any]]) -> str:
    capable = all(one.get("compute_capability", (0, 0)) >= _BFLOAT16 for one in details)
    return "mixed_bfloat16" if capable else "mixed_float16"  # without GPUs: bfloat16, which CPUs know


def _is_one_of_several() -> bool:
    try:
        return len(json.loads(os.environ.get("TF_CONFIG") or "{}")["cluster"]["worker"]) > 1
    except (ValueError, KeyError, TypeError):
        return False


def _multi_worker_strategy() -> Any:
    try:
        given = json.loads(os.environ.get("TF_CONFIG") or "{}")
        task, workers = given["task"], sum(len(v) for k, v in given["cluster"].items() if k in ("chief", "worker"))
        assert task["type"] in ("chief", "worker") and int(task["index"]) < len(given["cluster"][task["type"]])
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        raise InputError(
            "training.distribution: multi_worker needs TF_CONFIG, which names all workers and which of them this is: "
            '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: {os.environ.get('TF_CONFIG') or 'nothing'}. Run it as a TrainJob, or set training.distribution: auto."
        ) from None
    if workers < 2:
        raise InputError(
            f"TF_CONFIG: multi_worker needs two workers. Received: {workers}. Set training.distribution: auto."
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise InputError(
            f"training.distribution: multi_worker needs a process of its own for the Trainer ({error}). A local run has one "
            "process for all nodes; set training.distribution: auto there."
        ) from error
