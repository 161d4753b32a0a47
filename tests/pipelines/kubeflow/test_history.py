"""Runs on Kubeflow in the history of data quality: a process a node, a history on PostgreSQL, evidence in an S3 store."""

from __future__ import annotations

import pathlib

import fsspec
import pytest

from model_store import ModelStore
from pipelines.training_examples import training_examples
from quality.history import History, Outcome
from quality.monitoring._training import training_of
from quality.reports import build, page_of
from tests.pipelines.kubeflow.cluster import Cluster, make_cluster
from tests.servers import PASSWORD
from tests.yard import trips

pytestmark = pytest.mark.slow
DATA = ["schema-importer", "columnar-example-gen", "statistics-gen"]
GATES = ["example-validator", "data-quality", "drift-detector"]
SITE = "https://reports.example.com/quality"


@pytest.fixture(scope="module")
def history_url(postgres) -> str:
    postgres.create_database("history")
    return postgres.url("history").replace("trainyard@", f"trainyard:{PASSWORD}@")


@pytest.fixture
def cluster(yard, s3: str, history_url: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("TRAINYARD_CODE_REVISION", "")
    made = make_cluster(yard, f"{s3}/{tmp_path.name}", tmp_path)
    made.environment |= {"TRAINYARD_HISTORY": history_url, "TRAINYARD_REPORTS_URL": SITE}
    return made


def test_a_refused_span_has_its_page_with_the_evidence_of_every_gate(
    cluster: Cluster, history_url: str, tmp_path
) -> None:
    data = f"{cluster.bucket}/data/tips/span-1/trips.csv"
    bad = trips().replace("\n", "\n-40.5,2,cash,0\n-41.5,2,cash,0\n", 1)
    fsspec.filesystem("s3").pipe_file(data, bad.encode())
    assert [a.code for a in cluster.double.run("bad", only=DATA)] == [0, 0, 0]
    attempts = [cluster.double.run_task(task, "bad") for task in GATES]
    assert [attempt.code for attempt in attempts] == [2, 2, 0], [a.output[-2000:] for a in attempts]
    assert f"What the gate found is in {cluster.bucket}/pipelines/tips/_gates/bad/" in attempts[0].output

    with History.open(history_url) as history:
        refused = history.load("bad")
        assert refused is not None and refused.outcome is Outcome.FAILED
        assert refused.span == 1 and refused.rows == 602
        assert {check.gate for check in refused.checks} == {"ExampleValidator", "DataQuality", "DriftDetector"}
        assert "-41.5" in str([check.evidence for check in refused.checks if not check.passes])
        assert {column.name for column in refused.columns} == {"fare", "miles", "kind", "tipped"}
        # A machine that shares the history and the store, and nothing else, builds the site.
        build(history, tmp_path / "site")
    assert list(page_of(tmp_path / "site", "tips", "bad").parent.rglob("data_docs/index.html"))


def test_a_released_span_has_its_page_and_kubeflow_links_to_it(cluster: Cluster, history_url: str, tmp_path) -> None:
    attempts = cluster.double.run("good")
    assert [a.code for a in attempts] == [0] * 14, attempts[-1].output
    assert "history of data quality: It can be trusted" in attempts[-1].output
    shown = cluster.double.all_shown("good")
    assert shown["run_report"].metadata["data_quality_page"] == f"{SITE}/tips/validations/good/index.html"
    assert "checks passed" in shown["data_quality_report"].metadata["verdict"]

    with History.open(history_url) as history:
        trusted = history.load("good")
        assert trusted is not None and trusted.outcome is Outcome.PASSED and trusted.rows == 600
        assert [release.run_id for release in history.releases("tips")] == ["good"]
        assert trusted.documents["report"].startswith(f"{cluster.bucket}/pipelines")
        build(history, tmp_path / "site")
    folder = page_of(tmp_path / "site", "tips", "good").parent
    assert list(folder.rglob("data_docs/index.html")) and list(folder.rglob("report/index.html"))

    with pytest.MonkeyPatch.context() as patch:  # what its release was trained on is found where the run left it
        patch.setenv("TRAINYARD_METADATA", cluster.environment["TRAINYARD_METADATA"])
        patch.setenv("TRAINYARD_STORE", f"{cluster.bucket}/models")
        training = training_of("tips", ModelStore(f"{cluster.bucket}/models").resolve("tips", 1), training_examples)
    assert set(training.columns.distributions[""]) == {"fare", "miles", "kind"}
    assert training.predictions.rows[""] > 50


def test_a_history_that_is_away_fails_no_node(cluster: Cluster) -> None:
    cluster.environment["TRAINYARD_HISTORY"] = f"postgresql://me:{PASSWORD}@127.0.0.1:1/nowhere"
    attempts = cluster.double.run("away", only=[*DATA, *GATES])
    assert [a.code for a in attempts] == [0] * 6, attempts[-1].output
    data = f"{cluster.bucket}/data/tips/span-1/trips.csv"
    fsspec.filesystem("s3").pipe_file(data, b"fare,miles,kind,tipped\nx,1,cash,0\n")
    _, attempt = cluster.double.run("broken", only=["schema-importer", "columnar-example-gen"])
    assert attempt.code == 2
    assert "the history of data quality has no entry of this run" in attempt.output and PASSWORD not in attempt.output
