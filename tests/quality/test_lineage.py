"""OpenLineage events, sent by the official client to a collector of this machine."""

from __future__ import annotations

import dataclasses
import http.server
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from quality import lineage
from quality.history import Change, Check, Column, Outcome, Validation

ONE = Validation(
    "20261121T060000-ab12", "taxi", 3, "2026-11-21T06:00:00+00:00", Outcome.FAILED, "Do not train on it.", rows=400,
    owner="data-team",
    checks=(
        Check("DataQuality", "expect_column_values_to_not_be_null(fare)", False, "critical", "40 of 400 values do not",
              "fare", "expect_column_values_to_not_be_null", 40, 400),
        Check("ExampleValidator", "train/kind", False, "warning", "a new value", "kind", waiver="by ann until 2026-12-01"),
        Check("DriftDetector", "drift(fare)", True, "info"),
    ),
    columns=(Column("fare", "float", 400, 0.1, None, 9.0, 2.0, 0.0, 50.0, {0.05: 1.0, 0.5: 8.0}),
             Column("kind", "text", 400, 0.0, 2)),
    changes=(Change("drift", "fare", "psi", 0.3),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without OpenLineage's variables; its client adds some of its own, which no later test may see."""
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    yield
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE__")]:
        del os.environ[name]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    got: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "yard")
        yield got
        server.shutdown()


def test_a_validation_is_one_event_with_both_facets(collector: list[dict[str, Any]]) -> None:
    said: list[str] = []
    lineage.emit(ONE, "s3://lake/taxi/span-3/*.csv", said.append)
    (event,) = collector
    assert not said
    assert (event["eventType"], event["job"]["namespace"], event["job"]["name"]) == (
        "FAIL",
        "yard",
        "taxi.data_quality",
    )
    assert event["run"]["runId"] == lineage.event(ONE, "elsewhere").run.runId  # of the same run it is the same
    (span,) = event["inputs"]
    assert (span["namespace"], span["name"]) == ("s3://lake", "taxi/span-3")
    assert span["facets"]["ownership"]["owners"][0]["name"] == "data-team"
    metrics = span["inputFacets"]["dataQualityMetrics"]
    assert metrics["_schemaURL"].endswith("DataQualityMetricsInputDatasetFacet") and metrics["rowCount"] == 400
    fare = metrics["columnMetrics"]["fare"]
    assert (fare["nullCount"], fare["count"], fare["sum"], fare["max"]) == (40, 360.0, 3240.0, 50.0)
    assert fare["quantiles"] == {"0.05": 1.0, "0.5": 8.0} and metrics["columnMetrics"]["kind"]["distinctCount"] == 2
    facet = span["inputFacets"]["dataQualityAssertions"]
    assert facet["_schemaURL"].endswith("DataQualityAssertionsDatasetFacet")
    fails, waived, holds = facet["assertions"]
    assert fails["assertion"] == "expect_column_values_to_not_be_null" and fails["column"] == "fare"
    assert (fails["success"], waived["success"], holds["success"]) == (False, True, True)
    assert fails["severity"] == "error" and "column" not in holds


def test_nothing_is_sent_where_nobody_collects(collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    lineage.emit(ONE, "/data", pytest.fail)
    monkeypatch.delenv("OPENLINEAGE_DISABLED")
    monkeypatch.delenv("OPENLINEAGE_URL")
    assert not lineage.wanted() and not collector


def test_a_collector_that_is_away_is_said_without_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", "http://key:hunter2@127.0.0.1:1")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY", '{"total": 0}')
    said: list[str] = []
    lineage.emit(dataclasses.replace(ONE, outcome=Outcome.PASSED), "/data/taxi", said.append)
    (line,) = said
    assert "OpenLineage has no event of this run" in line and "hunter2" not in line and "\n" not in line
