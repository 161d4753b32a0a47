from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

import storage
from components import border
from components.artifacts import ROWS_BY_SPAN, ROWS_IN, ROWS_OUT, Artifacts, measured, noted_spans
from components.columnar import ColumnReader, count_rows, decode_splits
from components.drift import _leakage, _rows, judge
from components.drift.profile import ALL, Profile, profile
from components.drift.record import RECORD
from components.gates import CheckResult, GateResult, Severity, insist_on_pass
from components.schema import is_personal, read_schema, time_format_of
from spec.splits import TRAIN
from spec.workload import Drift

_LONGEST = 1024  # bytes per value, on average: images are not compared row by row
PROFILE_FILE, DRIFT_FILE, GATE_FILE = "profile.json", "drift.json", "gate.json"


class Executor(base_executor.BaseExecutor):
    """Profiles the newest span, compares it with the last accepted one, and writes profile, comparison and the gate's result."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes `drift`.

        Raises:
            GateFailed: a column moved beyond a critical limit.
        """
        allowed, label = border.load(Drift, exec_properties["allowed"]), exec_properties["label"]
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        output = artifact_utils.get_single_instance(output_dict["drift"])
        folder = pathlib.Path(output.uri)
        folder.mkdir(parents=True, exist_ok=True)
        with measured(output_dict) as rows:
            window = _Window(examples, schema, label)
            named = {f.name for f in schema.feature if f.int_domain.is_categorical}
            newest, hashes, told = window.describe(-1, allowed, named)
            before = _reference(window, allowed, named, exec_properties)
            found = list(judge.comparisons(newest, before, allowed, label=label)) if before else []
            checks = [
                *_checks(found, newest, before, allowed),
                *_rows.checks(newest, before, hashes, allowed),
                *_leakage.checks(told, newest, before, label, allowed),
            ]
            result = GateResult(RECORD.id, tuple(checks))
            (folder / PROFILE_FILE).write_text(newest.to_json(), encoding="utf-8")
            (folder / DRIFT_FILE).write_text(json.dumps([dataclasses.asdict(one) for one in found]), encoding="utf-8")
            (folder / GATE_FILE).write_text(result.to_json(), encoding="utf-8")
            output.span = examples.span
            rows[ROWS_IN] = rows[ROWS_OUT] = newest.rows[ALL]
        insist_on_pass(result, self._context, exec_properties["pipeline_root"], folder)


class _Window:
    """The spans in an Examples artifact, and the rows of each."""

    def __init__(self, examples: types.Artifact, schema: schema_pb2.Schema, label: str) -> None:
        self._uri, self._label = examples.uri, label
        self._personal = {feature.name for feature in schema.feature if is_personal(feature)}
        self._dates = {feature.name for feature in schema.feature if time_format_of(feature)}
        self._splits = decode_splits(examples.split_names)
        self._readers = {split: ColumnReader(examples.uri, split) for split in self._splits}
        noted = examples.get_string_custom_property(ROWS_BY_SPAN)
        self._rows: Mapping[str, Sequence[int]] = json.loads(noted) if noted else {}
        spans = noted_spans(examples.get_string_custom_property("spans")) or [(int(examples.span or 0), "")]
        self.spans = [number for number, _ in spans]
        self._digests = [digest for _, digest in spans]

    def describe(
        self, place: int, allowed: Drift, named: set[str]
    ) -> tuple[Profile, _rows.RowHashes, dict[str, _leakage.Strength]]:
        """The span at a place in the window (-1: the newest), hashes of its rows, and how well each column predicts the label."""
        columns = self._readers[self._splits[0]].columns
        slices = [column for column in allowed.slices if column in columns]
        rows = {split: self._length(split, place) for split in self._splits}
        hashes = _rows.RowHashes(rows, self._label)
        every = max(1, -(-sum(rows.values()) // _leakage.MOST_ROWS))
        seen: set[str] = set()
        sample: dict[str, pa.ChunkedArray] = {}

        def read(column: str) -> pa.ChunkedArray:
            values = self._read(column, place)
            if column in seen:
                return values
            seen.add(column)
            if pa.types.is_nested(values.type) or values.nbytes > _LONGEST * max(1, len(values)):
                hashes.leave_out()
                return values
            hashes.add(column, values)
            sample[column] = values.take(pa.array(np.arange(0, len(values), every)))
            return values

        found = profile(
            f"span {self.spans[place]}",
            columns,
            read,
            named=named | set(slices),
            slices=slices,
            min_rows=allowed.min_rows,
            personal=self._personal,
            dates=self._dates,
        )
        is_train = np.repeat([split == TRAIN for split in rows], list(rows.values()))[::every]
        fingerprint, doubled = _rows.marks(hashes.of_rows())
        told = _leakage.strengths(sample, is_train, self._label)
        digest = self._digests[place]
        firm = {name: one.value for name, one in told.items() if one.is_firm}
        marked = dataclasses.replace(found, digest=digest, fingerprint=fingerprint, doubled=doubled, strengths=firm)
        return marked, hashes, told

    def _length(self, split: str, place: int) -> int:
        return self._rows[split][place] if split in self._rows else count_rows(self._uri, split)

    def _read(self, column: str, place: int) -> pa.ChunkedArray:
        parts = []
        for split, reader in self._readers.items():
            values = reader.read(column)
            if split in self._rows:
                ends = list(itertools.accumulate(self._rows[split]))
                length = self._rows[split][place]
                values = values.slice(ends[place] - length, length)
            parts.append(values)
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)


def _reference(window: _Window, allowed: Drift, named: set[str], exec_properties: Mapping[str, Any]) -> Profile | None:
    """The profile of the last accepted span before the newest, or of the champion's newest span; None if there is none."""
    baseline, champion = exec_properties.get("baseline") or "", exec_properties.get("baseline_name") or ""
    refused = border.load(list[int], exec_properties.get("refused") or "[]")
    held = [place for place, span in enumerate(window.spans[:-1]) if span not in refused]
    nearest = int(exec_properties.get("baseline_span") or -1)
    if held and window.spans[held[-1]] >= nearest and not champion:
        return window.describe(held[-1], allowed, named)[0]
    if not baseline:
        return None
    found = Profile.from_json(storage.read(f"{baseline.rstrip('/')}/{PROFILE_FILE}").decode())
    if not champion:
        verdict = exec_properties.get("baseline_verdict")
        return dataclasses.replace(found, name=f"{found.name} (whose verdict is not known)") if verdict else found
    if found.name == f"span {window.spans[-1]}":
        # The champion was trained on this very span, so it does not mean that the delivery is stale.
        found = dataclasses.replace(found, digest="", fingerprint="")
    return dataclasses.replace(found, name=f"{found.name} of {champion}")


def _checks(
    found: Sequence[judge.ColumnComparison], newest: Profile, before: Profile | None, allowed: Drift
) -> list[CheckResult]:
    """One check per comparison, and one `not judged` for each that was asked for and is not possible."""
    if before is None:
        reason = f"{newest.name} is the first: there is nothing to compare it with"
        return [CheckResult.not_judged("drift", reason, Severity.INFO)]
    checks = [judge.check(one) for one in found]
    fewest = min(newest.rows.get(ALL, 0), before.rows.get(ALL, 0))
    few = f"{fewest:,} rows are too few to compare {newest.name} with {before.name} (min_rows {allowed.min_rows:,})"
    if not found:
        # A critical limit stops the run also if it cannot be judged.
        is_critical = Severity.CRITICAL in {
            one.severity for one in (allowed.limits, *allowed.columns.values()) if one.by_measure()
        }
        return [CheckResult.not_judged("drift", few, Severity.CRITICAL if is_critical else Severity.INFO)]
    for column, limits in allowed.columns.items():
        measured = {m for one in found if (one.column, one.slice) == (column, ALL) for m in one.measures}
        if unknown := sorted(set(limits.by_measure()) - measured):
            why = f"{newest.name} and {before.name} have no {', '.join(unknown)} of this column: it is new, empty or of another kind"
            checks.append(CheckResult.not_judged(f"drift({column})", why, limits.severity))
    for column in allowed.slices:
        if not any(one.slice.startswith(f"{column}=") for one in found):
            why = (
                f"no value of {column} has {allowed.min_rows:,} rows in both {newest.name} and {before.name} (min_rows)"
            )
            checks.append(CheckResult.not_judged(f"drift by {column}", why, Severity.INFO))
    return checks
