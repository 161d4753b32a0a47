from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import ROWS_IN, ROWS_OUT, measured
from components.columnar import SplitWriter, encode_splits, mark_as_parquet
from components.errors import InputError
from components.ingestion import sources
from components.ingestion._config import IngestionConfig
from components.ingestion.contract import Column, columns_of
from components.ingestion.quarantine import QUARANTINE_FILE, ROWS_QUARANTINED, BadRowWriter
from components.ingestion.readers import read_file
from components.ingestion.rows import BadRow, read_rows
from components.ingestion.splitting import Splitter, newest_from
from components.schema import read_schema

_SPLITS = ("train", "eval")


class Executor(base_executor.BaseExecutor):
    """Reads the window's files, checks them against the schema, and writes the splits."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config = IngestionConfig.from_json(exec_properties["input_config"])
        spans = json.loads(exec_properties["spans"])
        schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        columns = columns_of(schema)
        if config.split_column:
            columns.append(Column(config.split_column, pa.string(), True, False))
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        with measured(output_dict) as rows:
            counts, per_span, quarantined = _write(examples.uri, config, columns, spans, self._get_tmp_dir())
            rows[ROWS_IN], rows[ROWS_OUT] = sum(per_span) + quarantined, sum(counts.values())
            rows[ROWS_QUARANTINED] = quarantined
        if rows[ROWS_IN] != rows[ROWS_OUT] + quarantined:
            raise RuntimeError(
                f"{rows[ROWS_IN]} rows were read, {rows[ROWS_OUT]} written and {quarantined} put in quarantine"
            )
        for split, count in counts.items():
            if count == 0:
                raise InputError(
                    f"{config.uri}: no row fell into the {split} split ({sum(counts.values())} rows in all). "
                    "Deliver more rows, or change data.split in workload.yaml."
                )
        examples.split_names = encode_splits(_SPLITS)
        examples.span = int(exec_properties["span"])
        examples.version = int(spans[-1].get("version", 0))
        mark_as_parquet(examples)
        examples.set_string_custom_property(
            "spans",
            json.dumps(
                [
                    {"span": s["span"], "digest": s["digest"], "rows": count}
                    for s, count in zip(spans, per_span, strict=True)
                ]
            ),
        )


def _write(
    uri: str, config: IngestionConfig, columns: list[Column], spans: list[dict[str, Any]], scratch: str
) -> tuple[dict[str, int], list[int], int]:
    """Writes both splits; returns rows by split, rows by span, and how many went into quarantine."""
    kept = [c for c in columns if c.name != config.split_column]
    schema = pa.schema([(c.name, c.type) for c in kept])
    per_span = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder, contextlib.ExitStack() as stack:
        splitter = Splitter(config, _time_boundary(config, columns, spans, folder))
        writers = {split: stack.enter_context(SplitWriter(uri, split, schema)) for split in _SPLITS}
        side_file = pathlib.Path(uri) / QUARANTINE_FILE
        quarantine = stack.enter_context(BadRowWriter(side_file))
        for span in spans:
            count = 0
            for batch in _batches(span["files"], config, columns, folder, quarantine.write):
                count += batch.num_rows
                is_eval = splitter.is_eval(batch)
                features = batch.select(schema.names)
                writers["eval"].write(features.filter(pa.array(is_eval)))
                writers["train"].write(features.filter(pa.array(~is_eval)))
            per_span.append(count)
        _insist_on_good_rows(config, sum(per_span), quarantine)
    if not quarantine.rows:
        side_file.unlink()
    return {split: writer.rows for split, writer in writers.items()}, per_span, quarantine.rows


def _insist_on_good_rows(config: IngestionConfig, good: int, quarantine: BadRowWriter) -> None:
    bad, rows = quarantine.rows, good + quarantine.rows
    if bad > config.max_bad_fraction * rows:
        raise InputError(
            f"{config.uri}: {bad:,} of {rows:,} rows ({bad / rows:.2%}) do not fit the schema, more than "
            f"data.max_bad_fraction ({config.max_bad_fraction:.2%}). The first: {quarantine.first}. "
            "Mend the data, or raise the bound in workload.yaml."
        )


def _batches(
    files: list[str],
    config: IngestionConfig,
    columns: list[Column],
    folder: str,
    set_aside: Callable[[str, tuple[BadRow, ...]], None],
) -> Iterator[pa.RecordBatch]:
    if config.format == "images":
        yield from _image_batches(files, config, columns, set_aside)
        return
    for url in files:
        path = sources.localize(url, folder)
        if config.on_bad_rows == "fail":
            yield from read_file(path, config.format, columns, config.ignore)
            continue
        for rows in read_rows(path, config.format, columns, config.ignore):
            set_aside(url.removeprefix("file://"), rows.bad)
            yield rows.batch


def _image_batches(
    files: list[str],
    config: IngestionConfig,
    columns: list[Column],
    set_aside: Callable[[str, tuple[BadRow, ...]], None],
) -> Iterator[pa.RecordBatch]:
    from components.ingestion.images import insist_on_classes, read_images  # imports TensorFlow

    insist_on_classes(files, config.uri)
    bad: list[str] = []
    for rows in read_images(files, columns):
        for one in rows.bad:
            name = files[one.row - 1].removeprefix("file://")
            bad.append(f"{name} {one.reason}")
            set_aside(name, (dataclasses.replace(one, row=1),))
        yield rows.batch
    if bad and config.on_bad_rows == "fail":
        more = f" (and {len(bad) - 10} more)" if len(bad) > 10 else ""
        raise InputError(
            f"{len(bad)} of {len(files)} images cannot be used: {'; '.join(bad[:10])}{more}. Mend or remove them, or set "
            "data.on_bad_rows: quarantine."
        )


def _time_boundary(
    config: IngestionConfig, columns: list[Column], spans: list[dict[str, Any]], folder: str
) -> float | None:
    if not config.split_time:
        return None
    if config.split_time not in {c.name for c in columns}:
        raise InputError(
            f"data.split.time: column {config.split_time!r} is not in schema.pbtxt. Add it, or name another."
        )
    times = (
        batch.column(config.split_time)
        for span in spans
        for batch in _batches(span["files"], config, columns, folder, lambda file, bad: None)
    )
    return newest_from(times, config.split_time, config.eval_fraction)
