"""Builds RunFacts from what a run left on disk. A piece that is missing or broken becomes a note, never an error."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from components.data_quality.record import RECORD as DATA_QUALITY
from components.drift.record import RECORD as DRIFT
from components.gates import GateResult
from components.report.facts import (
    FAILED,
    SUCCEEDED,
    ArtifactFacts,
    ColumnFacts,
    ColumnStatistics,
    ComponentFacts,
    DatasetFacts,
    RunFacts,
)
from components.report.statistics import read_statistics
from components.searched import RECORD_FILE
from components.tasks.gallery_file import GALLERY_FILE
from spec import graph

_DATA_DOCS = "data_docs/index.html"

_Read = TypeVar("_Read")


def collect(workload: Mapping[str, Any], run_id: str, artifacts: Mapping[str, ArtifactFacts]) -> RunFacts:
    """The facts about a run that reached its end.

    Args:
        artifacts: by their names among a run's artifacts (`NodeRecord.reported`); any of them may be absent.
    """
    reader = _Reader(artifacts)
    profile = reader.json("drift", "profile.json")
    return RunFacts(
        workload=workload,
        run_id=run_id,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        status=SUCCEEDED,
        components=_components(artifacts),
        gates=reader.gates(),
        dataset=_shown(reader.read("statistics", "", read_statistics), profile),
        metrics=reader.json("evaluation", "metrics.json"),
        gallery=reader.json("evaluation", GALLERY_FILE),
        search=reader.json("best_hyperparameters", RECORD_FILE),
        training=reader.json("model_run", "history.json"),
        sketches=reader.json("model_run", GALLERY_FILE),
        release=reader.release(),
        champion=reader.champion(),
        profile=profile,
        infra_blessed=reader.infra_blessed(),
        artifacts=dict(artifacts),
        data_docs=reader.path("data_quality", _DATA_DOCS),
        notes=tuple(reader.notes),
    )


def collect_failure(
    workload: Mapping[str, Any],
    run_id: str,
    components: Sequence[Mapping[str, Any]],
    error: str,
    evidence: pathlib.Path,
    artifacts: Mapping[str, ArtifactFacts] | None = None,
) -> RunFacts:
    """The facts about a run that stopped: what its finished components left, and the evidence of its gates.

    Args:
        components: in pipeline order, each `{"id", "status", "seconds", "cached", "rows_in", "rows_out"}`.
        evidence: `<pipeline root>/_gates/<run id>`, with `<node id>/gate.json`; need not exist.
        artifacts: what finished components wrote, by role.
    """
    facts = collect(workload, run_id, artifacts or {})
    notes: list[str] = []
    left = _gates_left(evidence, notes)
    profile = facts.profile or _left(evidence / DRIFT.id / "profile.json", _read_object, notes)
    data_docs = evidence / DATA_QUALITY.id / _DATA_DOCS
    return dataclasses.replace(
        facts,
        status=FAILED,
        error=error.strip(),
        components=tuple(_component(raw) for raw in components),
        gates={**facts.gates, **left},
        dataset=_shown(facts.dataset, profile),
        profile=profile,
        data_docs=str(data_docs) if data_docs.is_file() else facts.data_docs,
        notes=(*facts.notes, *notes),
    )


def _shown(dataset: DatasetFacts | None, profile: Mapping[str, Any] | None) -> DatasetFacts | None:
    """The data set without the values of personal columns, which DriftDetector's profile names."""
    personal = frozenset((profile or {}).get("personal") or ())
    if dataset is None or not personal:
        return dataset
    columns = [_without_values(one) if one.name in personal else one for one in dataset.columns]
    return dataclasses.replace(dataset, columns=tuple(columns))


def _without_values(column: ColumnFacts) -> ColumnFacts:
    kept = {split: ColumnStatistics(missing=one.missing, unique=one.unique) for split, one in column.splits.items()}
    return dataclasses.replace(column, splits=kept)


class _Reader:
    """Reads files of artifacts by role, and notes what it could not read."""

    def __init__(self, artifacts: Mapping[str, ArtifactFacts]) -> None:
        self._artifacts = artifacts
        self.notes: list[str] = []

    def read(self, role: str, name: str, parse: Callable[[pathlib.Path], _Read]) -> _Read | None:
        path = self._locate(role, name)
        if path is None:
            return None
        try:
            return parse(path)
        except Exception as error:  # A report about a broken run must come out whatever the run left behind.
            self.notes.append(f"{role}: {path} could not be read ({type(error).__name__}: {error})")
            return None

    def json(self, role: str, name: str) -> dict[str, Any] | None:
        return self.read(role, name, _read_object)

    def path(self, role: str, name: str) -> str:
        """Where a reader of the page finds a file: of a copy, where the original lies."""
        path = self._locate(role, name)
        if path is None:
            return ""
        artifact = self._artifacts[role]
        return f"{artifact.original}/{name}" if artifact.original != artifact.uri else str(path)

    def gates(self) -> dict[str, GateResult]:
        found = {}
        for record in graph.gates():
            if (gate := self.read(record.result_name, "gate.json", _read_gate)) is not None:
                found[record.id] = gate
        return found

    def release(self) -> dict[str, Any] | None:
        pushed = self._artifacts.get("pushed_model")
        if pushed is None or not int(pushed.properties.get("pushed", 1)):
            return None
        manifest = self.json("pushed_model", "release.json") or {}
        version = manifest.get("version", pushed.properties.get("pushed_version"))
        uri = manifest.get("uri", pushed.properties.get("pushed_destination"))
        return {**manifest, "version": version, "uri": uri} if version not in (None, "") else None

    def champion(self) -> dict[str, Any] | None:
        artifact = self._artifacts.get("champion")
        version = int(artifact.properties.get("champion_version", 0)) if artifact else 0
        return {"version": version, **(self.json("champion", "release.json") or {})} if version else None

    def infra_blessed(self) -> bool | None:
        artifact = self._artifacts.get("infra_blessing")
        return artifact.properties.get("blessing_status") == "INFRA_BLESSED" if artifact else None

    def _locate(self, role: str, name: str) -> pathlib.Path | None:
        if role not in self._artifacts:
            return None
        uri = self._artifacts[role].uri
        folder = pathlib.Path(urllib.parse.unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri)
        path = folder / name if name else folder
        return path if path.exists() else None


def _read_object(path: pathlib.Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is expected, received {type(value).__name__}")
    return value


def _gates_left(evidence: pathlib.Path, notes: list[str]) -> dict[str, GateResult]:
    found = {path.parent.name: _left(path, _read_gate, notes) for path in sorted(evidence.glob("*/gate.json"))}
    return {node: gate for node, gate in found.items() if gate is not None}


def _left(path: pathlib.Path, parse: Callable[[pathlib.Path], _Read], notes: list[str]) -> _Read | None:
    """What a gate that stopped the run left, if it did."""
    try:
        return parse(path) if path.is_file() else None
    except (ValueError, KeyError, TypeError, OSError) as error:
        notes.append(f"{path} could not be read ({type(error).__name__}: {error})")
        return None


def _read_gate(path: pathlib.Path) -> GateResult:
    return GateResult.from_json(path.read_text(encoding="utf-8"))


def _components(artifacts: Mapping[str, ArtifactFacts]) -> tuple[ComponentFacts, ...]:
    found = []
    for record in graph.records():
        if made := [artifacts[name] for name in record.reported.values() if name in artifacts]:
            found.append(_component({"id": record.id, "status": SUCCEEDED, **made[0].properties}))
    return tuple(found)


def _component(raw: Mapping[str, Any]) -> ComponentFacts:
    return ComponentFacts(
        id=str(raw.get("id", "?")),
        status=str(raw.get("status") or SUCCEEDED),
        seconds=_number(raw.get("seconds"), float),
        cached=bool(raw.get("cached", False)),
        rows_in=_number(raw.get("rows_in"), int),
        rows_out=_number(raw.get("rows_out"), int),
    )


def _number(value: Any, kind: Callable[[Any], _Read]) -> _Read | None:
    try:
        return None if value is None else kind(value)
    except (TypeError, ValueError):
        return None


def artifact_facts(artifacts: Iterable[Any]) -> ArtifactFacts | None:
    """A TFX artifact (the first of a channel) as plain data, or None for an empty channel."""
    for artifact in artifacts:
        stored = artifact.mlmd_artifact
        properties: dict[str, Any] = {}
        for values in (stored.properties, stored.custom_properties):
            for key, value in values.items():
                kind = value.WhichOneof("value")
                if kind in ("int_value", "double_value", "string_value"):
                    properties[key] = getattr(value, kind)
        return ArtifactFacts(artifact.uri, artifact.type_name, properties)
    return None
