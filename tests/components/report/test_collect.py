"""Facts from artifact folders: complete, half missing, broken."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.gates import CheckResult, GateResult, keep_evidence
from components.report.collect import collect, collect_failure
from components.report.facts import ArtifactFacts
from components.report.render import render_run
from components.report.statistics import read_statistics


def write_statistics(folder: pathlib.Path, split: str, rows: int) -> None:
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(num_examples=rows)
    fare = dataset.features.add(type=1)
    fare.path.step.append("fare")
    fare.num_stats.common_stats.num_missing, fare.num_stats.common_stats.num_non_missing = 2, rows - 2
    fare.num_stats.min, fare.num_stats.mean, fare.num_stats.max = 0, 11.5, 80
    histogram = fare.num_stats.histograms.add(num_nan=1)
    histogram.buckets.add(low_value=0, high_value=40, sample_count=rows - 10)
    histogram.buckets.add(low_value=40, high_value=80, sample_count=7)
    fare.num_stats.histograms.add(type=statistics_pb2.Histogram.QUANTILES)
    payment = dataset.features.add(type=2, name="payment_type")
    payment.string_stats.unique = 3
    payment.string_stats.common_stats.num_non_missing = rows
    payment.string_stats.top_values.add(value="Cash", frequency=rows - 5)
    (folder / f"Split-{split}").mkdir(parents=True)
    (folder / f"Split-{split}" / "FeatureStats.pb").write_bytes(statistics.SerializeToString())


def test_statistics_are_read_per_split(tmp_path: pathlib.Path) -> None:
    write_statistics(tmp_path, "eval", 20)
    write_statistics(tmp_path, "train", 100)
    facts = read_statistics(tmp_path)
    assert facts is not None and list(facts.rows.items()) == [("train", 100), ("eval", 20)]
    fare, payment = facts.columns
    assert (fare.name, fare.kind, fare.splits["train"].maximum) == ("fare", "float", 80)
    assert math.isclose(fare.splits["train"].missing, 0.03)
    assert fare.splits["train"].histogram == ((0, 40, 90), (40, 80, 7))
    assert (payment.splits["eval"].unique, payment.splits["eval"].top_values) == (3, (("Cash", 15.0),))


@pytest.fixture
def artifacts(tmp_path: pathlib.Path) -> dict[str, ArtifactFacts]:
    roles = (
        "statistics",
        "anomalies",
        "data_quality",
        "model_run",
        "champion",
        "evaluation",
        "infra_blessing",
        "pushed_model",
    )
    folders = {role: tmp_path / role for role in roles}
    for folder in folders.values():
        folder.mkdir()
    write_statistics(folders["statistics"], "train", 100)
    for role in ("data_quality", "infra_blessing"):
        (folders[role] / "gate.json").write_text(GateResult(role, (CheckResult("a", True),)).to_json())
    (folders["model_run"] / "history.json").write_text(
        json.dumps({"epochs": [1], "history": {"loss": [0.1]}, "seconds": 1})
    )
    (folders["evaluation"] / "metrics.json").write_text(
        json.dumps({"task": "binary", "overall": {"auc": 0.9}, "blessed": True})
    )
    (folders["champion"] / "release.json").write_text(json.dumps({"version": 3, "model": "taxi"}))
    (folders["pushed_model"] / "release.json").write_text(json.dumps({"version": 4, "uri": "/models/taxi/4"}))
    properties: dict[str, dict[str, Any]] = {
        "champion": {"champion_version": 3},
        "infra_blessing": {"blessing_status": "INFRA_BLESSED", "seconds": 7.5, "rows_in": 16},
        "pushed_model": {"pushed": 1},
    }
    found = {role: ArtifactFacts(str(folder), role, properties.get(role, {})) for role, folder in folders.items()}
    return {"examples": ArtifactFacts("/nowhere", "Examples", {"span": 2, "rows_out": 100}), **found}


def test_complete_run(artifacts: dict[str, ArtifactFacts]) -> None:
    facts = collect({"name": "taxi", "task": "binary"}, "run-1", artifacts)
    assert facts.workload["name"] == "taxi" and not facts.notes
    assert set(facts.gates) == {"DataQuality", "InfraValidator"}
    assert facts.release == {"version": 4, "uri": "/models/taxi/4"}
    assert facts.champion == {"version": 3, "model": "taxi"}
    assert facts.infra_blessed is True
    infra = next(c for c in facts.components if c.id == "InfraValidator")
    assert (infra.seconds, infra.rows_in, infra.rows_out) == (7.5, 16, None)
    assert "Released as version 4: AUC 0.9000" in render_run(facts)


def test_no_champion_and_nothing_pushed(artifacts: dict[str, ArtifactFacts]) -> None:
    artifacts["champion"] = ArtifactFacts(artifacts["champion"].uri, "Model", {"champion_version": 0})
    artifacts["pushed_model"] = ArtifactFacts(artifacts["pushed_model"].uri, "PushedModel", {"pushed": 0})
    facts = collect({"name": "taxi"}, "run-1", artifacts)
    assert facts.champion is None and facts.release is None
    assert "nothing was pushed" in render_run(facts)


def test_spans_of_a_run_without_release_come_from_the_examples(artifacts: dict[str, ArtifactFacts]) -> None:
    noted = json.dumps(
        [{"span": 1, "digest": "sha256:aa11", "rows": 60}, {"span": 2, "digest": "sha256:bb22", "rows": 40}]
    )
    examples = {"examples": ArtifactFacts("/nowhere", "Examples", {"span": 2, "spans": noted})}
    page = render_run(collect({"name": "taxi"}, "run-1", examples))
    assert "sha256:aa11" in page and "Span 2" in page
    broken = {"examples": ArtifactFacts("/nowhere", "Examples", {"span": 2, "spans": "[half"})}
    assert "Span 2" in render_run(collect({"name": "taxi"}, "run-1", broken))


def test_reason_of_the_pusher_is_told() -> None:
    pushed = ArtifactFacts("/nowhere", "PushedModel", {"pushed": 0, "reason": "No space left in the store"})
    page = render_run(collect({"name": "taxi"}, "run-1", {"pushed_model": pushed}))
    assert "Not released because no space left in the store." in page


def test_broken_files_become_notes(artifacts: dict[str, ArtifactFacts]) -> None:
    for role, name in (("evaluation", "metrics.json"), ("model_run", "history.json"), ("data_quality", "gate.json")):
        pathlib.Path(artifacts[role].uri, name).write_text('{"half')
    pathlib.Path(artifacts["statistics"].uri, "Split-train", "FeatureStats.pb").write_bytes(b"\xff\xff\xff")
    facts = collect({"name": "taxi"}, "run-1", artifacts)
    assert len(facts.notes) == 4 and facts.metrics is None and facts.dataset is None
    assert "Not readable" in render_run(facts)


def test_failure_takes_the_evidence(tmp_path: pathlib.Path, artifacts: dict[str, ArtifactFacts]) -> None:
    evidence = tmp_path / "_gates"
    keep_evidence(
        GateResult("DataQuality", (CheckResult("fare", False, message="2 fares below 0"),)), evidence / "DataQuality"
    )
    (evidence / "Evaluator").mkdir()
    (evidence / "Evaluator" / "gate.json").write_text("not json")
    kept = {role: artifacts[role] for role in ("examples", "statistics")}
    failed = [{"id": "DataQuality", "status": "failed", "seconds": "odd"}]
    facts = collect_failure({"name": "taxi"}, "run-1", failed, "stopped", evidence, kept)
    assert not facts.gates["DataQuality"].passes and facts.dataset is not None and len(facts.notes) == 1
    assert "./trainyard run taxi --span 2" in render_run(facts)


def test_of_a_fetched_copy_the_page_names_the_original(artifacts: dict[str, ArtifactFacts]) -> None:
    copy = artifacts["data_quality"]
    docs = pathlib.Path(copy.uri) / "data_docs" / "index.html"
    docs.parent.mkdir(parents=True, exist_ok=True)
    docs.write_text("")
    place = "s3://bucket/DataQuality/data_quality/3"
    fetched = {"data_quality": ArtifactFacts(copy.uri, copy.type_name, {"canonical_uri": place})}
    facts = collect(workload={"name": "taxi"}, run_id="r", artifacts=fetched)
    assert facts.data_docs == f"{place}/data_docs/index.html"
    page = render_run(facts)
    assert place in page and copy.uri not in page
