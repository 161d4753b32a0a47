from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tfx.types import artifact_utils

from components import border
from components.artifacts import ROWS_BY_SPAN, ROWS_IN, ROWS_OUT, Artifacts, measured
from components.columnar import commit_shards, encode_splits, mark_as_parquet, split_directory
from components.columnar.executor import ColumnarBeamExecutor
from components.gates import CheckResult, GateResult, evidence_directory, keep_evidence
from components.ingestion import quarantine, sources
from components.ingestion.contract import Column, columns_of
from components.ingestion.images import insist_on_classes
from components.ingestion.labels import with_label
from components.ingestion.parts import Unit, plan
from components.ingestion.quarantine import QUARANTINE, QUARANTINE_FILE, ROWS_QUARANTINED, ROWS_UNLABELLED
from components.ingestion.record import RECORD
from components.ingestion.splitting import Splitter, counted_column, merge_counts, splitter
from components.ingestion.units import CountValues, WriteUnits, Written
from components.ingestion.work import in_order, staging
from components.schema import read_schema
from spec.errors import InputError
from spec.splits import SPLITS
from spec.workload import Ingestion

_MOST_NAMED = 10
# What to do about an empty split, by how rows are split.
_REMEDY = {
    "hash": "Deliver more rows, or raise eval_fraction or test_fraction under data.split",
    "time": "Rows of one time stay together, so three times or more are needed: deliver more, or change data.split",
    "column": "The column has to name rows for train, and for test or eval: mend it, deliver more rows, or change data.split",
}


class Executor(ColumnarBeamExecutor):
    """Reads the window's files, checks them against the schema, and writes the splits.

    Units of work are files, or parts of large ones. Each writes its own shards into a staging folder, here or on Beam's
    workers; when all are complete, they are renamed in the order of the files.
    """

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes `examples`.

        Raises:
            InputError: a file cannot be read or does not fit the schema, a split is empty, or too many rows do not fit.
        """
        config = border.load(Ingestion, exec_properties["input_config"])
        spans = border.load(list[dict[str, Any]], exec_properties["spans"])
        columns = _columns(config, artifact_utils.get_single_uri(input_dict["schema"]))
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        with measured(output_dict) as rows:
            written = self._ingest(pathlib.Path(examples.uri), config, columns, spans)
            by_split = _rows_by_split(written, len(spans))
            per_span = [sum(counts) for counts in zip(*by_split.values(), strict=True)]
            rows[ROWS_QUARANTINED] = bad = sum(one.bad for one in written)
            rows[ROWS_UNLABELLED] = unlabelled = sum(one.unlabelled for one in written)
            rows[ROWS_IN], rows[ROWS_OUT] = sum(per_span) + unlabelled + bad, sum(per_span)
        examples.split_names = encode_splits(SPLITS)
        examples.span = int(exec_properties["span"])
        examples.version = int(spans[-1].get("version", 0))
        mark_as_parquet(examples)
        facts = [
            {"span": s["span"], "digest": s["digest"], "rows": count} for s, count in zip(spans, per_span, strict=True)
        ]
        examples.set_string_custom_property("spans", json.dumps(facts))
        examples.set_string_custom_property(ROWS_BY_SPAN, json.dumps(by_split))
        if bad:
            examples.set_string_custom_property(QUARANTINE, json.dumps(_summary(written)))

    def _ingest(
        self, target: pathlib.Path, config: Ingestion, columns: list[Column], spans: Sequence[dict[str, Any]]
    ) -> list[Written]:
        if config.format == "images":
            for span in spans:
                insist_on_classes(span["files"], config.uri)
        units = plan([span["files"] for span in spans], config.format, config.read)
        size = sum(unit.size_bytes for unit in units)
        with staging(target) as folder:
            with contextlib.ExitStack() as data:
                for span in spans:
                    data.enter_context(sources.as_hashed(span["files"], span["digest"]))
                way = self._splitter(units, config, columns, folder)
                done = self._combine(units, WriteUnits(config, columns, way, folder), size)
                written: list[Written] = in_order(done, len(units))
            self._insist_on_good_rows(config, written, target)
            _insist_on_rows_in_each_split(config, written)
            _commit(target, written)
        return written

    def _splitter(self, units: list[Unit], config: Ingestion, columns: list[Column], scratch: pathlib.Path) -> Splitter:
        label = config.label.column if config.label else None
        name = counted_column(config.split)
        if name is None:
            return splitter(config.split, label)
        if all(c.name != name for c in columns):
            raise InputError(f"data.split.time: column {name!r} is not in schema.pbtxt. Add it, or name another.")
        # From Parquet only one column is read, a small part of the bytes; other formats are read completely.
        size = 0 if config.format == "parquet" else sum(unit.size_bytes for unit in units)
        counted = in_order(self._combine(units, CountValues(config, columns, scratch), size), len(units))
        return splitter(config.split, label, merge_counts(counted))

    def _insist_on_good_rows(self, config: Ingestion, written: list[Written], target: pathlib.Path) -> None:
        good, bad = sum(sum(one.counts.values()) for one in written), sum(one.bad for one in written)
        if config.on_bad_rows == "fail":
            if bad:  # only images get here: other formats stop at the first bad row, and images are all named together
                raise InputError(_bad_images(written, good + bad))
            return
        share = bad / max(1, good + bad)
        if share <= config.max_bad_fraction:
            return
        folder = self._evidence(target)
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / QUARANTINE_FILE
        _merge_side_files(written, kept)
        message = (
            f"{config.uri}: {bad:,} of {good + bad:,} rows ({share:.2%}) do not fit the schema, more than "
            f"data.max_bad_fraction ({config.max_bad_fraction:.2%}). The first: {_first(written)}. "
            f"All of them: {kept}. Mend the data, or raise the bound in workload.yaml."
        )
        check = CheckResult("max_bad_fraction", passes=False, message=message, diagnostics=_summary(written))
        keep_evidence(GateResult(RECORD.id, (check,)), folder)
        raise InputError(message)

    def _evidence(self, target: pathlib.Path) -> pathlib.Path:
        """A folder that is still there after TFX has deleted the failed run's outputs."""
        node = getattr(self._context, "pipeline_node", None)
        if node is None:
            return target.with_name(f"{target.name}.evidence")
        # TFX lays artifacts out as <pipeline root>/<node>/<output>/<execution>.
        return evidence_directory(str(target.parents[2]), self._context.pipeline_run_id, node.node_info.id)


def _columns(config: Ingestion, schema_uri: str) -> list[Column]:
    schema = read_schema(schema_uri)
    columns, split = columns_of(schema), config.split
    if config.label:
        columns = with_label(columns, schema, config.label)
    if split.column:
        columns.append(Column(split.column, pa.string(), True, False))
    # A row without a time belongs to no split.
    return [dataclasses.replace(c, required=True) if c.name == split.time else c for c in columns]


def _insist_on_rows_in_each_split(config: Ingestion, written: Sequence[Written]) -> None:
    counts = {split: sum(one.counts[split] for one in written) for split in SPLITS}
    shown = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    remedy = _REMEDY["time" if config.split.time else "column" if config.split.column else "hash"]
    for split, count in counts.items():
        if count == 0:
            raise InputError(f"{config.uri}: no row fell into the {split} split ({shown}). {remedy} in workload.yaml.")


def _commit(target: pathlib.Path, written: Sequence[Written]) -> None:
    """Gives shards their final names, in the order of the units, and checks that no row was lost."""
    for split in SPLITS:
        shards = [pathlib.Path(path) for one in written if one.counts[split] for path in one.shards[split]]
        shards = commit_shards(shards, split_directory(target, split), "examples")
        found, counted = (
            sum(pq.read_metadata(shard).num_rows for shard in shards),
            sum(one.counts[split] for one in written),
        )
        if found != counted:
            raise RuntimeError(f"{counted} rows were written to split {split!r}, and its files hold {found}")
    if (merged := _merge_side_files(written, target / QUARANTINE_FILE)) != (bad := sum(one.bad for one in written)):
        raise RuntimeError(f"{bad} rows were put in quarantine, and its file holds {merged}")


def _merge_side_files(written: Sequence[Written], path: pathlib.Path) -> int:
    return quarantine.merge([pathlib.Path(one.side_file) for one in written if one.side_file], path)


def _rows_by_split(written: Sequence[Written], spans: int) -> dict[str, list[int]]:
    """Rows of each span by split; a split's files hold them in this order."""
    rows = {split: [0] * spans for split in SPLITS}
    for one in written:
        for split, count in one.counts.items():
            rows[split][one.span] += count
    return rows


def _first(written: Sequence[Written]) -> str:
    return next((one.first for one in written if one.first), "")


def _summary(written: Sequence[Written]) -> dict[str, Any]:
    """Of the rows in quarantine: how many, in which columns, and the first few."""
    by_column: collections.Counter[str] = collections.Counter()
    for one in written:
        by_column.update(one.by_column)
    examples = [row for one in written for row in one.examples]
    return {
        "rows": sum(one.bad for one in written),
        "file": QUARANTINE_FILE,
        "by_column": dict(by_column.most_common()),
        "first": examples[: quarantine.MOST_EXAMPLES],
    }


def _bad_images(written: Sequence[Written], images: int) -> str:
    bad = sum(one.bad for one in written)
    named = [f"{row['file']} {row['reason']}" for one in written for row in one.examples][:_MOST_NAMED]
    more = f" (and {bad - len(named)} more)" if bad > len(named) else ""
    return (
        f"{bad} of {images} images cannot be used: {'; '.join(named)}{more}. Mend or remove them, or set "
        "data.on_bad_rows: quarantine."
    )
