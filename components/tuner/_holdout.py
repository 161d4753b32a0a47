"""Train, divided in two: what trials learn from, and what they are compared on."""

from __future__ import annotations

import logging
import os
import pathlib
import shutil

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.columnar import (
    SplitWriter,
    hash_rows,
    is_list,
    is_text_or_bytes,
    read_batches,
    split_schema,
    spread_bits,
)
from components.tuner._job import Job
from spec.splits import EVAL, TRAIN

_log = logging.getLogger(__name__)

_BUCKETS = 10_000


def write_for(job: Job, examples: str, key: str) -> None:
    """Writes the Examples of a job: transformed ones, with the split train divided."""
    search = job.search
    target = pathlib.Path(job.sources.examples)
    write(examples, target, job.training.learnt_label, search.holdout, search.seed, key)


def write(examples: str, target: pathlib.Path, label: str | None, fraction: float, seed: int, key: str = "") -> None:
    """Writes the split train of transformed Examples as train and eval of new ones; where they lie already, nothing.

    A row's place follows from what it holds but its label, so that rows with the same features stay together; with `key`, from that
    column, if features.py hands it on.

    Args:
        target: appears when all is written.
        fraction: of the rows, that become eval.
    """
    if target.is_dir():
        return
    partial = target.with_name(f".{target.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    schema, first = split_schema(examples, TRAIN), 0
    names = _hashed(schema, label, key)
    with SplitWriter(partial, TRAIN, schema) as train, SplitWriter(partial, EVAL, schema) as held_out:
        for batch in read_batches(examples, TRAIN):
            is_out = _is_held_out(batch, names, first, fraction, seed)
            first += batch.num_rows
            for writer, rows in ((train, ~is_out), (held_out, is_out)):
                writer.write(batch.filter(pa.array(rows)))
    partial.replace(target)


def _hashed(schema: pa.Schema, label: str | None, key: str) -> list[str]:
    """The columns that a row's place follows from; none: its number does."""
    if key in schema.names:
        return [key]
    if key:
        _log.warning(
            "search: rows of the same %s are not held out together, since features.py does not hand it on", key
        )
    return [one.name for one in schema if one.name != label and not _is_list_of_texts(one.type)]


def _is_list_of_texts(kind: pa.DataType) -> bool:
    return is_list(kind) and is_text_or_bytes(kind.value_type)


def _is_held_out(
    batch: pa.RecordBatch, names: list[str], first: int, fraction: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Which rows are held out, [rows]; `first` is the number of the first."""
    columns = [batch.column(name) for name in names]
    hashes = hash_rows(columns) if columns else np.arange(first, first + batch.num_rows, dtype=np.uint64)
    held_out: npt.NDArray[np.bool_] = spread_bits(hashes + np.uint64(seed)) % np.uint64(_BUCKETS) < fraction * _BUCKETS
    return held_out
