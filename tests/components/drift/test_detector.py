"""The drift gate as a node of a real TFX pipeline: its driver, its cache key, its files and its verdict."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.components.common import importer
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import standard_artifacts

from components.artifacts import ROWS_BY_SPAN, DataDrift
from components.columnar import SplitWriter, encode_splits
from components.drift._verdicts import judged
from components.drift.component import DriftDetector
from components.drift.profile import Profile
from components.gates import GateFailed, GateResult, Severity
from model_store import ModelStore, ReleaseDraft
from spec.workload import Drift, DriftLimits

ROWS = 2_000
SCHEMA = """
feature { name: "fare" type: FLOAT } feature { name: "kind" type: BYTES }
feature { name: "zone" type: INT int_domain { is_categorical: true } } feature { name: "tip" type: INT }
feature { name: "note" type: BYTES }
"""
STILL = Drift()


def span(seed: int, scale: float = 1.0, cash: float = 0.5, tip: float = 0.3, length: int = 20) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "fare": rng.exponential(10 * scale, ROWS),
        "kind": np.where(rng.random(ROWS) < cash, "cash", "card"),
        "zone": rng.integers(1, 5, ROWS),
        "tip": (rng.random(ROWS) < tip).astype(np.int64),
        "note": [f"{i:06d}{'x' * rng.integers(1, length)}" for i in range(ROWS)],
    }


class Yard:
    """A pipeline of an importer and the detector, run span by span."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.runs = folder, 0
        (folder / "schema").mkdir()
        (folder / "schema" / "schema.pbtxt").write_text(SCHEMA)
        self.connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))

    def examples(self, number: int, *window: dict[str, Any]) -> importer.Importer:
        uri = self.folder / f"examples-{number}-{len(window)}-{self.runs}"
        rows: dict[str, list[int]] = {}
        for split, part in (("train", slice(None, 1500)), ("eval", slice(1500, None))):
            tables = [pa.table({name: pa.array(values[part]) for name, values in one.items()}) for one in window]
            rows[split] = [table.num_rows for table in tables]
            with SplitWriter(uri, split, tables[0].schema) as writer:
                for table in tables:
                    for batch in table.to_batches():
                        writer.write(batch)
        spans = range(number - len(window) + 1, number + 1)
        return importer.Importer(
            source_uri=str(uri),
            artifact_type=standard_artifacts.Examples,
            properties={"split_names": encode_splits(["train", "eval"]), "span": number},
            custom_properties={
                ROWS_BY_SPAN: json.dumps(rows),
                "spans": json.dumps([{"span": one} for one in spans]),
            },
        ).with_id("Examples")

    def run(
        self,
        number: int,
        *window: dict[str, Any],
        allowed: Drift = STILL,
        champion_of: tuple[str, str] | None = None,
    ) -> GateResult:
        """Raises what the node raised; returns what its gate found."""
        self.runs += 1
        examples = self.examples(number, *window)
        schema = importer.Importer(
            source_uri=str(self.folder / "schema"), artifact_type=standard_artifacts.Schema
        ).with_id("Schema")
        root = str(self.folder / "root")
        detector = DriftDetector(
            examples.outputs["result"], schema.outputs["result"], allowed, "tip", root, champion_of
        )
        LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="yard",
                pipeline_root=root,
                components=[examples, schema, detector],
                enable_cache=True,
                metadata_connection_config=self.connection,
            )
        )
        return GateResult.from_json((pathlib.Path(self.artifacts()[-1].uri) / "gate.json").read_text())

    def artifacts(self) -> list[mlmd.Artifact]:
        with metadata.Metadata(self.connection) as handle:
            found = handle.store.get_artifacts_by_type(DataDrift.TYPE_NAME)
        return sorted((one for one in found if one.state == mlmd.Artifact.LIVE), key=lambda one: one.id)


@pytest.fixture
def yard(tmp_path: pathlib.Path) -> Yard:
    return Yard(tmp_path)


def failed(result: GateResult) -> set[str]:
    return {check.name for check in result.failures()}


def test_a_span_is_compared_with_the_nearest_one_before_whatever_came_last(yard: Yard) -> None:
    first = yard.run(3, span(1))
    assert failed(first) == set() and "is the first" in first.checks[0].message
    moved = yard.run(5, span(2, scale=3))
    assert failed(moved) == {"drift(fare)"}
    (check,) = moved.failures()
    assert "from span 3" in check.message and "PSI" in check.message and "90 %" in check.message
    # Span 4 arrives late: it is compared with span 3, not with span 5 that was looked at last; span 5 again with span 4.
    late = yard.run(4, span(3))
    assert failed(late) == set() and late.checks[0].diagnostics["reference"] == "span 3"
    assert yard.run(5, span(2, scale=3)).checks[0].diagnostics["reference"] == "span 4"
    profile = Profile.from_json((pathlib.Path(yard.artifacts()[-1].uri) / "profile.json").read_text())
    assert profile.name == "span 5" and profile.rows[""] == ROWS


def test_within_a_window_the_newest_span_alone_is_compared_with_the_one_before(yard: Yard) -> None:
    """In the window as a whole half of the rows would hide the move."""
    result = yard.run(7, span(1), span(2), span(3, cash=0.95))
    assert failed(result) == {"drift(kind)"}
    (check,) = result.failures()
    assert check.diagnostics["reference"] == "span 6" and "'cash': 95" in check.message
    assert check.diagnostics["measures"]["l_infinity"] == pytest.approx(0.45, abs=0.03)


def test_a_critical_limit_stops_the_run_and_leaves_its_evidence(yard: Yard) -> None:
    strict = Drift(columns={"tip": DriftLimits(psi=0.1, severity=Severity.CRITICAL)})
    with pytest.raises(GateFailed, match="tip shifted from span 1: PSI"):
        yard.run(2, span(1), span(2, tip=0.9), allowed=strict)
    assert yard.artifacts() == []
    (evidence,) = (yard.folder / "root" / "_gates").glob("*/DriftDetector")
    assert {path.name for path in evidence.iterdir()} >= {"gate.json", "profile.json", "drift.json"}


def test_a_slice_can_move_while_the_whole_does_not(yard: Yard) -> None:
    before, after = span(1), span(2)
    card = after["kind"] == "card"
    after["fare"] = np.where(card, after["fare"].mean() * 0.9, after["fare"])
    result = yard.run(2, before, after, allowed=Drift(limits=DriftLimits(kolmogorov_smirnov=0.45), slices=("kind",)))
    assert failed(result) == {"drift(fare, kind=card)"}


def test_columns_that_may_move_and_spans_that_are_too_small_are_recorded_and_not_judged(yard: Yard) -> None:
    free = Drift(columns={"fare": DriftLimits()})
    result = yard.run(2, span(1), span(2, scale=50), allowed=free)
    (check,) = [one for one in result.checks if one.name == "drift(fare)"]
    assert check.passes and check.severity is Severity.INFO and check.diagnostics["measures"]["psi"] > 1
    few = {name: values[:400] for name, values in span(3, scale=50).items()}
    small = yard.run(4, {name: values[:400] for name, values in span(1).items()}, few)
    assert small.passes and "too few" in small.checks[0].message


def test_free_text_is_compared_by_its_length_and_codes_by_name(yard: Yard) -> None:
    result = yard.run(2, span(1), span(2, length=80))
    assert failed(result) == {"drift(note)"}
    zones = next(one for one in result.checks if one.name == "drift(zone)")
    assert "l_infinity" in zones.diagnostics["measures"]


def test_the_same_again_is_answered_from_the_cache_and_a_new_reference_is_not(yard: Yard) -> None:
    yard.run(1, span(1))
    yard.run(2, span(2))
    made = len(yard.artifacts())
    yard.runs -= 1  # the very same files
    yard.run(2, span(2))
    assert len(yard.artifacts()) == made


@pytest.mark.parametrize("measure", ["ks", "PSI"])
def test_an_unknown_measure_is_refused(measure: str) -> None:
    with pytest.raises(ValueError, match=rf"columns\.fare\.{measure}\n  Extra inputs are not permitted"):
        Drift.model_validate({"columns": {"fare": {measure: 0.1}}})


def test_a_span_is_compared_with_what_the_champion_was_trained_on(yard: Yard) -> None:
    store = ModelStore(yard.folder / "models")
    champion_of = (str(yard.folder / "models"), "yard")
    yard.run(1, span(1))
    first = yard.run(2, span(2, scale=3), champion_of=champion_of)  # nobody is stable: the span before
    assert first.checks[0].diagnostics["reference"] == "span 1"
    with metadata.Metadata(yard.connection) as handle:
        runs = handle.store.get_contexts_by_type("pipeline_run")
        run_id = min(runs, key=lambda one: one.id).name
    (yard.folder / "export").mkdir()
    (yard.folder / "export" / "saved_model.pb").write_bytes(b"a graph")
    store.publish("yard", yard.folder / "export", ReleaseDraft("once", "binary", run_id=run_id))
    store.promote("yard", 1, reason="the first", actor="a test")
    # The window has a span before, which is like the newest; the champion was trained on another.
    moved = yard.run(4, span(3, scale=3), span(4, scale=3), champion_of=champion_of)
    assert failed(moved) == {"drift(fare)"}
    assert moved.failures()[0].diagnostics["reference"] == "span 1 of release 1"
    assert failed(yard.run(4, span(3, scale=3), span(4, scale=3))) == set()


def test_no_value_of_a_personal_column_is_kept_by_name_or_said(yard: Yard) -> None:
    personal = 'annotation { tag: "personal" }'
    schema = SCHEMA.replace('name: "kind" type: BYTES', f'name: "kind" type: BYTES {personal}')
    schema = schema.replace('name: "fare" type: FLOAT', f'name: "fare" type: FLOAT {personal}')
    (yard.folder / "schema" / "schema.pbtxt").write_text(schema)
    moved = span(2, scale=4)
    moved["kind"] = np.where(moved["kind"] == "cash", "a secret of fifty letters and more than that in all", "card")
    result = yard.run(2, span(1), moved, allowed=Drift(slices=("kind",)))
    assert failed(result) == {"drift(fare)", "drift(kind)"}
    kept = "".join(path.read_text() for path in pathlib.Path(yard.artifacts()[-1].uri).iterdir())
    assert "secret" not in kept and "cash" not in kept and "its values are personal and not shown" in kept
    fare = next(check for check in result.failures() if "fare" in check.name)
    assert "quantiles" not in fare.message
    assert set(Profile.from_json((pathlib.Path(yard.artifacts()[-1].uri) / "profile.json").read_text()).personal) == {
        "fare",
        "kind",
    }


def test_a_refused_span_is_nobodys_reference(yard: Yard) -> None:
    """The same damage delivered twice is refused twice, and the good span after it does not drift."""
    strict = Drift(columns={"tip": DriftLimits(psi=0.1, severity=Severity.CRITICAL)})
    yard.run(1, span(1), allowed=strict)
    for number in (2, 3):
        with pytest.raises(GateFailed, match="tip shifted from span 1: PSI"):
            yard.run(number, span(number, tip=0.9), allowed=strict)
    # In a window it is passed over, too, until it is replaced.
    with pytest.raises(GateFailed, match="tip shifted from span 1: PSI"):
        yard.run(3, span(1), span(2, tip=0.9), span(3, tip=0.9), allowed=strict)
    good = yard.run(4, span(4), allowed=strict)
    assert good.passes and good.checks[0].diagnostics["reference"] == "span 1"
    assert yard.run(2, span(7), allowed=strict).passes, "delivered again"
    assert yard.run(3, span(8), allowed=strict).checks[0].diagnostics["reference"] == "span 2"


def test_what_another_gate_says_of_a_span_counts() -> None:
    """Its last word: a span that was waived, or mended, is accepted."""
    store = Metadata()
    store.ask(1, ExampleValidator=WELL, DataQuality=WELL, DriftDetector=WELL)
    store.ask(2, ExampleValidator=WELL, DataQuality=ILL, DriftDetector=WELL)
    store.ask(3, ExampleValidator=WELL, DriftDetector=WELL)
    verdicts = [(one.span, str(one.verdict)) for one in judged(store, "yard")]
    assert verdicts == [(1, "accepted"), (2, "refused"), (3, "unknown")]
    store.ask(2, DataQuality=WELL)
    assert [str(one.verdict) for one in judged(store, "yard")] == ["accepted", "accepted", "unknown"]
    assert [one.profile for one in judged(store, "yard")] == ["profile-1", "profile-2", "profile-3"]


def test_gates_end_in_any_order() -> None:
    store = Metadata()
    store.ask(1, DriftDetector=WELL, ExampleValidator=WELL, DataQuality=WELL)
    store.ask(2, DataQuality=WELL, DriftDetector=WELL, ExampleValidator=WELL)
    assert [one.profile for one in judged(store, "yard")] == ["profile-1", "profile-2"]


WELL, ILL = mlmd.Execution.COMPLETE, mlmd.Execution.FAILED


class Metadata:
    """MLMD's store in memory, with an examples artifact for each span."""

    def __init__(self) -> None:
        connection = mlmd.ConnectionConfig()
        connection.fake_database.SetInParent()
        self.store = metadata_store.MetadataStore(connection)
        kind = self.store.put_context_type(mlmd.ContextType(name="pipeline"))
        (self.context,) = self.store.put_contexts([mlmd.Context(type_id=kind, name="yard")])
        self.examples: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def ask(self, number: int, **gates: Any) -> None:
        if number not in self.examples:
            kind = mlmd.ArtifactType(name="Examples", properties={"span": mlmd.INT})
            artifact = mlmd.Artifact(type_id=self.store.put_artifact_type(kind, can_add_fields=True), uri=f"e-{number}")
            artifact.properties["span"].int_value = number
            (self.examples[number],) = self.store.put_artifacts([artifact])
        for gate, state in gates.items():
            kind = self.store.put_execution_type(mlmd.ExecutionType(name=f"components.{gate}"))
            execution = mlmd.Execution(type_id=kind, last_known_state=state)
            told = [self.event("examples", mlmd.Event.INPUT, self.examples[number])]
            name, uri = ("Report", "report")
            if gate == "DriftDetector":
                name, uri = (DataDrift.TYPE_NAME, "profile")
            kind = self.store.put_artifact_type(mlmd.ArtifactType(name=name))
            output = mlmd.Artifact(type_id=kind, uri=f"{uri}-{number}", state=mlmd.Artifact.LIVE)
            told.append(self.event("output", mlmd.Event.OUTPUT, *self.store.put_artifacts([output])))
            (made,) = self.store.put_executions([execution])
            for event in told:
                event.execution_id = made
            self.store.put_events(told)
            self.store.put_attributions_and_associations(
                [], [mlmd.Association(execution_id=made, context_id=self.context)]
            )

    @staticmethod
    def event(key: str, kind: Any, artifact: int) -> mlmd.Event:
        return mlmd.Event(artifact_id=artifact, type=kind, path=mlmd.Event.Path(steps=[mlmd.Event.Path.Step(key=key)]))
