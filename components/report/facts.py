"""What a run report tells, as plain data: no TFX, no protos, so that a failed run can be reported too."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from components.gates import GateResult
from components.ingestion.quarantine import QUARANTINE, QUARANTINE_FILE, ROWS_QUARANTINED, ROWS_UNLABELLED
from components.staged import CANONICAL_URI
from components.tasks import Task, find
from spec.errors import InputError
from spec.metrics import LOSS, Metric
from spec.metrics import find as find_metric

SUCCEEDED = "succeeded"
FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class ArtifactFacts:
    """One artifact, as lineage shows it.

    Attributes:
        type_name: its MLMD type, e.g. `Examples`.
        properties: its properties and custom properties.
    """

    uri: str
    type_name: str = ""
    properties: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def original(self) -> str:
        """Where the artifact lies, if `uri` is a copy that a runner fetched."""
        return str(self.properties.get(CANONICAL_URI) or self.uri)


@dataclasses.dataclass(frozen=True)
class ComponentFacts:
    """How one component went: wall-clock seconds, rows read and rows written (None where they were not counted)."""

    id: str
    status: str = SUCCEEDED
    seconds: float | None = None
    cached: bool = False
    rows_in: int | None = None
    rows_out: int | None = None


@dataclasses.dataclass(frozen=True)
class ColumnStatistics:
    """One column of one split, as TFDV counted it.

    Attributes:
        missing: share of the rows without a value, 0 to 1.
        deviation: standard deviation; numbers only.
        quantiles: (probability, value), rising; numbers only.
        histogram: (low, high, count) of equally wide buckets; numbers only.
        top_values: (value, count), most frequent first; text only.
    """

    missing: float = 0.0
    minimum: float | None = None
    mean: float | None = None
    maximum: float | None = None
    deviation: float | None = None
    unique: int | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    histogram: tuple[tuple[float, float, float], ...] = ()
    top_values: tuple[tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class ColumnFacts:
    """One column over all splits."""

    name: str
    kind: str
    splits: Mapping[str, ColumnStatistics]


@dataclasses.dataclass(frozen=True)
class DatasetFacts:
    """Rows per split, and the columns in the order of the statistics."""

    rows: Mapping[str, int]
    columns: tuple[ColumnFacts, ...]


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """Everything that the page about one run is made from; whatever a run did not reach is None or empty.

    Attributes:
        workload: the Workload model as plain data.
        created_at: ISO 8601 UTC, when the report was made.
        status: `succeeded` or `failed`.
        error: one line about the failure; empty when there was none.
        metrics: `metrics.json` of the Evaluator.
        gallery: `gallery.json` of the Evaluator.
        search: `search.json` of the Tuner.
        training: `history.json` of the Trainer.
        sketches: `gallery.json` of the Trainer: what the model made after some epochs.
        release: `release.json` of what was pushed.
        champion: `release.json` of the champion that the challenger was compared with.
        infra_blessed: whether the exported model loaded and predicted.
        artifacts: by role, e.g. `examples`.
        profile: `profile.json` of the DriftDetector: the newest span's distributions.
        data_docs: path of the Great Expectations page.
        notes: what could not be read, in words.
    """

    workload: Mapping[str, Any]
    run_id: str
    created_at: str = ""
    status: str = SUCCEEDED
    error: str = ""
    components: tuple[ComponentFacts, ...] = ()
    gates: Mapping[str, GateResult] = dataclasses.field(default_factory=dict)
    dataset: DatasetFacts | None = None
    metrics: Mapping[str, Any] | None = None
    gallery: Mapping[str, Any] | None = None
    search: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    sketches: Mapping[str, Any] | None = None
    release: Mapping[str, Any] | None = None
    champion: Mapping[str, Any] | None = None
    infra_blessed: bool | None = None
    artifacts: Mapping[str, ArtifactFacts] = dataclasses.field(default_factory=dict)
    profile: Mapping[str, Any] | None = None
    data_docs: str = ""
    notes: tuple[str, ...] = ()

    @property
    def task(self) -> type[Task] | None:
        """What the model predicts; None where its class is gone: a page about an old run still has its figures."""
        try:
            return find(str((self.metrics or {}).get("task") or self.workload.get("task")))
        except InputError:
            return None

    def metric(self, name: str) -> Metric:
        """What is known of one of the model's metrics."""
        known = {one.name: one for one in self.task.metrics} if self.task else {}
        return known.get(name) or find_metric(name)

    @property
    def primary(self) -> Metric:
        """The metric by which this workload's models are compared."""
        champions = ((self.metrics or {}).get("champion"), (self.workload.get("evaluation") or {}).get("champion"))
        if name := next((one["metric"] for one in champions if one and one.get("metric")), None):
            return self.metric(str(name))
        return self.task.metrics[0] if self.task else LOSS

    @property
    def spans(self) -> list[Mapping[str, Any]]:
        """What the model learnt from, `{"span", "digest", "rows"}` each: as its release says, or as ingestion noted it."""
        released = [span for span in (self.release or {}).get("spans") or () if isinstance(span, Mapping)]
        if released or (examples := self.artifacts.get("examples")) is None:
            return released
        known = examples.properties
        if noted := _noted_spans(known.get("spans")):
            return noted
        if "span" not in known:
            return []
        digest = known.get("digest") or known.get("input_fingerprint") or ""
        return [{"span": known["span"], "digest": digest, "rows": known.get("rows_out")}]

    @property
    def personal(self) -> frozenset[str]:
        """Columns whose values are not shown, as DriftDetector found them tagged in the schema."""
        return frozenset((self.profile or {}).get("personal") or ())

    @property
    def quarantined(self) -> int:
        """Malformed rows that ingestion set aside."""
        return int(self._of_examples(ROWS_QUARANTINED) or 0)

    @property
    def unlabelled(self) -> int:
        """Rows that ingestion left out because they have no label."""
        return int(self._of_examples(ROWS_UNLABELLED) or 0)

    @property
    def quarantine_file(self) -> str:
        """Where they lie."""
        examples = self.artifacts.get("examples")
        return f"{examples.uri.rstrip('/')}/{QUARANTINE_FILE}" if examples else ""

    @property
    def quarantine(self) -> dict[str, Any]:
        """Ingestion's summary of them: `by_column`, rows by column's name ("": as a whole), and `first`, a few of them.

        Empty where ingestion left none.
        """
        try:
            found = json.loads(self._of_examples(QUARANTINE) or "{}")
        except (TypeError, ValueError):
            found = {}
        return found if isinstance(found, dict) else {}

    def _of_examples(self, name: str) -> Any:
        examples = self.artifacts.get("examples")
        return examples.properties.get(name) if examples else None


def _noted_spans(noted: Any) -> list[Mapping[str, Any]]:
    try:
        return [span for span in json.loads(noted or "[]") if isinstance(span, Mapping)]
    except (TypeError, ValueError):
        return []
