"""Golden requests: rows of the test split as a client would send them."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import pyarrow as pa

from components.columnar import count_rows, read_batches
from components.served_model import ServedModel, is_missing


def golden_rows(examples_uri: str, split: str, columns: list[str], count: int) -> pa.Table:
    """The first rows of a split, at most `count`."""
    found: list[pa.RecordBatch] = []
    if count_rows(examples_uri, split):
        for batch in read_batches(examples_uri, split, columns, rows=count):
            found.append(batch)
            if sum(len(one) for one in found) >= count:
                break
    return pa.Table.from_batches(found).slice(0, count) if found else pa.table({})


def instances(model: ServedModel, rows: pa.RecordBatch) -> list[dict[str, Any]]:
    """TF Serving's row form; a missing value is left out, bytes that are no text are `{"b64": ...}`."""
    tensors = model.inputs(rows)
    return [
        {
            model.input_name(name): _plain(tensors[name][row])
            for name, feature in model.features.items()
            if feature.shape or not is_missing(tensors[name][row], feature)
        }
        for row in range(rows.num_rows)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, np.floating):
        # The shortest text that is this float32 again: 0.1, not 0.10000000149011612.
        return float(str(value)) if math.isfinite(value) else float(value)
    return int(value)
