"""Transformed Examples as a tf.data.Dataset for Keras: checked, shuffled, in bounded memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from components import progress
from components.columnar import RowGroup, is_text_or_bytes, row_groups, split_directory
from components.columnar import is_list as is_list_type
from components.tasks import Feature, Task
from components.trainer._checks import SplitChecks
from components.trainer.late import LABEL_NAME, Late, is_list, row_bytes
from spec.errors import InputError

Columns = dict[str, npt.NDArray[Any]]
Weights = npt.NDArray[np.float32]
Draw = Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]

# So much of a split is in memory at a time, as arrays; a smaller split is read once and stays. With train and eval, and
# Arrow's own buffers while reading, that is about 1.5 GB beside TensorFlow's 1 GB.
_POOL_BYTES = 512 * 2**20
# What goes from Python to tf.data at once: large enough that Python is called a few times a second, not once a batch.
_BLOCK_BYTES = 8 * 2**20
# Batches that are ready for the model; fewer where `late_fn` makes much of little.
_PREFETCHED_BATCHES, _PREFETCHED_BYTES = 8, 128 * 2**20
# A Python bytes object beside its text, and the array's pointer to it.
_STRING_OVERHEAD = 41

_DTYPES: dict[str, Any] = {"float32": np.float32, "int64": np.int64, "string": object}


class Split:
    """One split of transformed Examples; only the features and the label are read. `open_split` makes one.

    Where what is stored of the label is a vector, `label_shape` is that of one row. What is learnt the task makes of it, or of the
    features [n, *shape] of a batch where there is no label.

    What lies `beside` the features reaches the model as it is stored.

    A list of any length in each row is read as its bytes, until a batch is made of it.

    Rows are read by pools: row groups that together are about `pool_bytes` as arrays. A split that fits one pool is read once.

    Attributes:
        rows: of the split.
        late: what makes the model's features of those that are stored.
        by_chance: whether each batch of training is drawn anew, each row with the same chance and on its own, so that batches have
            as many rows as asked for on average (Poisson sampling). No seed repeats it. Set.
        drawn: for a number of rows and a seed, features that each batch has besides in training; None: it has none. Set.
        epoch: the pass that an iterator started from now on makes; part of the shuffle's seed. Set, not counted: Keras makes
            iterators that it throws away.
    """

    def __init__(
        self,
        uri: str,
        split: str,
        late: Late,
        label: str | None,
        task: Task,
        pool_bytes: int = _POOL_BYTES,
        label_shape: tuple[int, ...] = (),
        beside: Sequence[Feature] = (),
    ) -> None:
        self.late = late
        self._beside = {one.name: one for one in beside}
        self._features = {**late.stored, **self._beside}
        self._label, self._label_shape, self._pool_bytes, self._task = label, label_shape, pool_bytes, task
        self._groups = row_groups(uri, split)
        self.rows = sum(group.rows for group in self._groups)
        self.epoch = 0
        self.drawn: Draw | None = None
        self.by_chance = False
        if not self.rows:
            raise InputError(
                f"{split_directory(uri, split)}: split {split} has no rows. Give the pipeline more data, or change data.split."
            )
        self._label_dtype = _label_dtype(self._groups[0].path, label) if label else None
        if late.changes_labels and not label:
            raise InputError(
                f"{late.module_file}: {LABEL_NAME}: task {task.name} learns no label. Leave the function out."
            )
        self._label_in_training = late.of_labels(self._target()) if late.changes_labels else None
        kept = [*self._features.values()]
        if label:
            kept.append(Feature(label, "string" if self._label_dtype is object else "int64", label_shape))
        self._bytes = _bytes_as_arrays(self._groups, kept)
        # The pool read last. An iterator of tf.data may run in a thread beside one that is about to end.
        self._pool: tuple[list[RowGroup], Columns] | None = None
        self._reading = threading.Lock()

    def pools(self) -> Iterator[Columns]:
        """The split's rows in their order, pool by pool: arrays [n, *shape] by column."""
        for groups in self._split_into_pools(np.arange(len(self._groups))):
            yield self._read(groups)

    def spread(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """The model's features of some rows that lie evenly in the first pool, as they are when the model is served, [n, *shape]."""
        columns = next(self.pools())
        chosen = np.unique(np.linspace(0, _rows(columns) - 1, rows).astype(int))
        batch = self._block({name: values[chosen] for name, values in columns.items()}, len(chosen))
        (one,) = tf.data.Dataset.from_tensors(batch).unbatch().map(lambda given: self._for_keras(given, False)[0])
        return {name: one[name].numpy() for name in self.late.features}

    def dataset(
        self, batch_size: int, seed: int | None = None, replicas: int = 1, weights: Weights | None = None
    ) -> tf.data.Dataset:
        """Batches of (features by name [n, *shape], label [n], and the row's weight [n] if asked for); each pass has every row once.

        The shuffle: a split of one pool is shuffled whole. Of a larger one, row groups are dealt to pools at random, and the
        rows of a pool are shuffled: any row may meet any other, but only with those of its pool does it change places freely.
        Both are drawn anew for each `epoch`. The same split, seed and epoch give the same batches on any machine.

        The dataset knows its length, and `tf.distribute` shards it by rows of each batch.

        Args:
            batch_size: rows a batch; the last may have fewer.
            seed: of the shuffle, and of what `late_fn` draws; None: the rows in their order, as they are when the model is served.
            replicas: how many share each batch. Rows move from the last whole batch to the last one where otherwise some replica
                would get none of it.
            weights: of the classes, [classes]; None: rows have none.
        """
        training = seed is not None
        blocks = tf.data.Dataset.from_generator(
            lambda: self._elements(batch_size, seed, replicas, weights),
            output_signature=self._signature(weights is not None, training and self._takes_seed),
        )
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        ahead = _PREFETCHED_BATCHES
        parallel: dict[str, Any] = {}
        if self.late or self._label_dtype is object:
            ahead = max(2, min(ahead, _PREFETCHED_BYTES // (batch_size * row_bytes(self.late.features.values()) + 1)))
            parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
        batches = blocks.prefetch(1).unbatch()
        batches = batches.map(lambda batch: self._for_keras(batch, training), **parallel)
        steps = -(-self.rows // batch_size)
        batches = batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(ahead)
        return batches.with_options(options)

    def _elements(
        self, batch_size: int, seed: int | None, replicas: int, weights: Weights | None
    ) -> Iterator[dict[str, Any]]:
        """Blocks, with all that a batch of them needs."""
        draws = np.random.default_rng([seed, self.epoch, 1]) if seed is not None and self._takes_seed else None
        by_chance = self.by_chance and seed is not None
        for block in self._by_chance(batch_size) if by_chance else self._blocks(batch_size, seed, replicas):
            if weights is not None:
                block["weight"] = weights[block["label"]]
            if draws is not None:
                batches = len(next(iter(block["features"].values())))
                block["seed"] = draws.integers(np.iinfo(np.int32).max, size=(batches, 2), dtype=np.int32)
            yield block

    @property
    def _takes_seed(self) -> bool:
        return self.late.takes_seed or self.drawn is not None

    def _signature(self, has_weights: bool, has_seeds: bool) -> dict[str, Any]:
        """What a block is: batches of rows, [batches, n, ...]."""
        signature: dict[str, Any] = {
            "features": {
                name: tf.TensorSpec([None, None], tf.string)
                if is_list(feature)
                else tf.TensorSpec([None, None, *feature.shape], feature.dtype)
                for name, feature in self._features.items()
            }
        }
        if self._label is not None:
            signature["label"] = tf.TensorSpec([None, None, *self._label_shape], self._label_kind)
        if has_weights:
            signature["weight"] = tf.TensorSpec([None, None], tf.float32)
        if has_seeds:
            signature["seed"] = tf.TensorSpec([None, 2], tf.int32)
        return signature

    @property
    def _label_kind(self) -> Any:
        return tf.string if self._label_dtype is object else self._label_dtype

    def _target(self) -> tf.TensorSpec:
        """What the loss takes of the label."""
        stored = tf.TensorSpec([None, *self._label_shape], self._label_kind)
        graph = tf.function(self._task.late_target, autograph=False).get_concrete_function(stored)
        return tf.TensorSpec.from_tensor(graph.structured_outputs)

    def _for_keras(self, batch: dict[str, Any], training: bool) -> tuple[Any, ...]:
        stored = {
            name: _ragged(values, self._features[name].dtype) if is_list(self._features[name]) else values
            for name, values in batch["features"].items()
            if name not in self._beside
        }
        features = self.late.in_training(stored, training, batch.get("seed"))
        if training and self.drawn is not None:
            features |= self.drawn(tf.shape(next(iter(features.values())))[0], batch["seed"])
        features |= {name: batch["features"][name] for name in self._beside}
        learns_label = self._label is not None
        target = self._task.late_target(batch["label"]) if learns_label else self._task.training_target(features)
        if training and self._label_in_training is not None:
            target = self._label_in_training(target, batch["seed"])
        return (features, target, batch["weight"]) if "weight" in batch else (features, target)

    def _blocks(self, batch_size: int, seed: int | None, replicas: int) -> Iterator[dict[str, Any]]:
        """Arrays [batches, batch_size, *shape]; what is left at the end is one smaller batch, or two."""
        last = last_batches(self.rows, batch_size, replicas)
        whole_batches = (self.rows - sum(last)) // batch_size
        a_row = max(1, self._bytes // self.rows)
        block_rows = batch_size * max(1, _BLOCK_BYTES // (a_row * batch_size))
        left: Columns = {}
        for columns in self._chunks(block_rows, seed):
            if left:
                columns = {name: np.concatenate([left[name], values]) for name, values in columns.items()}
            batches = min(_rows(columns) // batch_size, whole_batches)
            whole_batches -= batches
            whole = batches * batch_size
            if batches:
                yield self._block({name: values[:whole] for name, values in columns.items()}, batch_size)
            rest = _rows(columns) - whole
            left = {name: values[whole:] for name, values in columns.items()} if rest else {}
        for rows in last:
            yield self._block({name: values[:rows] for name, values in left.items()}, rows)
            left = {name: values[rows:] for name, values in left.items()}

    def _by_chance(self, batch_size: int) -> Iterator[dict[str, Any]]:
        """Arrays [1, n, *shape], as many as there are steps."""
        random = np.random.default_rng()  # of the operating system's chance
        columns = self._read(self._groups)  # all of them: any row may be in any batch
        for _ in range(-(-self.rows // batch_size)):
            chosen = np.flatnonzero(random.random(self.rows) < batch_size / self.rows)
            progress.rows(len(chosen))
            yield self._block({name: values[chosen] for name, values in columns.items()}, len(chosen))

    def _block(self, columns: Columns, batch_size: int) -> dict[str, Any]:
        shaped = {name: values.reshape(-1, batch_size, *values.shape[1:]) for name, values in columns.items()}
        if self._label is None:
            return {"features": shaped}
        return {"label": shaped.pop(self._label), "features": shaped}

    def _chunks(self, rows: int, seed: int | None) -> Iterator[Columns]:
        """All rows in the order of this pass, at most `rows` at a time."""
        random = None if seed is None else np.random.default_rng([seed, self.epoch])
        dealt = np.arange(len(self._groups)) if random is None else random.permutation(len(self._groups))
        for groups in self._split_into_pools(dealt):
            yield from self._pool_chunks(groups, rows, random)

    # A generator of its own, so that nothing holds a pool while the next one is read.
    def _pool_chunks(self, groups: list[RowGroup], rows: int, random: np.random.Generator | None) -> Iterator[Columns]:
        columns = self._read(groups)
        count = _rows(columns)
        order = None if random is None else random.permutation(count)
        for start in range(0, count, rows):
            chosen = slice(start, start + rows) if order is None else order[start : start + rows]
            progress.rows(min(rows, count - start))
            yield {name: values[chosen] for name, values in columns.items()}

    def _split_into_pools(self, order: npt.NDArray[np.int64]) -> list[list[RowGroup]]:
        wanted = -(-self._bytes // self._pool_bytes)
        parts = np.array_split(order, min(len(self._groups), wanted))
        # In their order within the pool: rows are shuffled anyway, and a pool of all is then the same in every pass.
        return [[self._groups[i] for i in sorted(part)] for part in parts]

    def _read(self, groups: list[RowGroup]) -> Columns:
        with self._reading:
            if self._pool is None or self._pool[0] != groups:
                self._pool = None  # let go before there is another
                self._pool = (groups, self._load(groups))
            return self._pool[1]

    def _load(self, groups: Sequence[RowGroup]) -> Columns:
        rows = sum(group.rows for group in groups)
        columns = {
            name: np.empty(rows, object) if is_list(one) else np.empty((rows, *one.shape), _DTYPES[one.dtype])
            for name, one in self._features.items()
        }
        if self._label is not None:
            columns[self._label] = np.empty((rows, *self._label_shape), self._label_dtype)
        start = 0
        for group in groups:
            with pq.ParquetFile(group.path) as file:
                table = file.read_row_group(group.number, columns=list(columns))
            for name, values in columns.items():
                column = table.column(name)
                packed = name in self._features and is_list(self._features[name])
                found = _packed(column) if packed else _values(column).reshape(-1, *values.shape[1:])
                values[start : start + group.rows] = found
            start += group.rows
        return columns


def open_split(
    uri: str,
    split: str,
    features: Late | Iterable[Feature],
    checks: SplitChecks,
    pool_bytes: int = _POOL_BYTES,
    label_shape: tuple[int, ...] = (),
    beside: Sequence[Feature] = (),
) -> Split:
    """Opens a split and looks through all of its rows, pool by pool.

    Args:
        features: what is stored, or what `late_fn` makes of it.
        checks: told about every row of the split, in their order.
        pool_bytes: how much is in memory at a time.
        beside: stored features that the model is given besides, as they are.

    Raises:
        InputError: the split has no rows, or cannot be learnt from.
    """
    late = features if isinstance(features, Late) else Late({one.name: one for one in features})
    opened = Split(uri, split, late, checks.label, checks.task, pool_bytes, label_shape, beside)
    for columns in opened.pools():
        checks.add(columns)
    checks.finish()
    return opened


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def last_batches(rows: int, batch_size: int, replicas: int = 1) -> list[int]:
    """Rows of the batches that follow the whole ones: none, one, or two of which the last goes evenly into `replicas`."""
    rest = rows % batch_size
    if not rest:
        return []
    missing = -rest % replicas
    if not missing or rows < batch_size:
        return [rest]
    return [batch_size - missing, rest + missing]


def _bytes_as_arrays(groups: Iterable[RowGroup], columns: Sequence[Feature]) -> int:
    """What row groups take in memory as arrays of some columns."""
    lists = [one for one in columns if is_list(one)]
    a_row = _STRING_OVERHEAD * len(lists) + sum(
        math.prod(one.shape) * (_STRING_OVERHEAD if one.dtype == "string" else np.dtype(_DTYPES[one.dtype]).itemsize)
        for one in columns
        if not is_list(one)
    )
    texts = any(one.dtype == "string" for one in columns)
    # Which part of the file is text would be work to find out: all of it, to be on the safe side.
    total = sum(group.rows * a_row + (group.size_bytes if texts else 0) for group in groups)
    return total + sum(
        _count(group, one.name) * np.dtype(_DTYPES[one.dtype]).itemsize for group in groups for one in lists
    )


def _count(group: RowGroup, name: str) -> int:
    """How many values a column has in a row group."""
    chunks = pq.read_metadata(group.path).row_group(group.number)
    columns = (chunks.column(i) for i in range(chunks.num_columns))
    return sum(one.num_values for one in columns if one.path_in_schema.startswith(f"{name}."))


def _label_dtype(path: str, label: str) -> Any:
    kind: pa.DataType = pq.read_schema(path).field(label).type
    kind = kind.value_type if is_list_type(kind) else kind
    return object if is_text_or_bytes(kind) else kind.to_pandas_dtype()


def _values(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any]:
    """All values of a dense column, one row after the other, whether or not it keeps them in lists."""
    combined = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    while is_list_type(combined.type):
        combined = pc.list_flatten(combined)
    return combined.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _packed(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A column of lists, each as the bytes of its values, [n] of objects."""
    lists = column.combine_chunks()
    values = _values(lists)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths) * values.itemsize
    raw = values.tobytes()
    packed = np.empty(len(lists), object)
    packed[:] = [
        raw[end - size : end] for end, size in zip(ends.tolist(), (lengths * values.itemsize).tolist(), strict=True)
    ]
    return packed


def _ragged(packed: tf.Tensor, dtype: str) -> tf.RaggedTensor:
    """The rows of `_packed` as a tensor again."""
    values = tf.io.decode_raw(tf.strings.reduce_join(packed), dtype)
    lengths = tf.strings.length(packed) // tf.as_dtype(dtype).size
    return tf.RaggedTensor.from_row_lengths(values, tf.cast(lengths, tf.int64), validate=False)
