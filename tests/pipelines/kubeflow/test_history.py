"""Runs on Kubeflow in the history of data quality: a process a node, a history on PostgreSQL, evidence in an S3 store."""

from __future__ import annotations

import pathlib

import fsspec
import pytest

from model_store import ModelStore
from pipelines.history import History, Outcome
from pipelines.monitoring._training import training_of
from pipelines.reports import build, page_of
from tests.pipelines.conftest import trips
from tests.pipelines.kubeflow.cluster import Cluster, make_cluster
from tests.servers import PASSWORD

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


def test_a_refused_span_and_a_released_one_have_their_pages(yard, cluster: Cluster, history_url: str, tmp_path) -> None:
    data = f"{cluster.bucket}/data/tips/span-1/trips.csv"
    files = fsspec.filesystem("s3")
    good = files.cat_file(data)
    bad = trips().replace("\n", "\n-40.5,2,cash,0\n-41.5,2,cash,0\n", 1)
    files.pipe_file(data, bad.encode())
    for task in DATA:
        attempt = cluster.double.run_task(task, "bad")
        assert attempt.code == 0, attempt.output
    codes = {task: cluster.double.run_task(task, "bad") for task in GATES}
    assert [attempt.code for attempt in codes.values()] == [2, 2, 0], [a.output[-2000:] for a in codes.values()]

    files.pipe_file(data, good)
    attempts = cluster.double.run("good")
    assert [a.code for a in attempts] == [0] * 13, attempts[-1].output
    assert "history of data quality: It can be trusted" in attempts[-1].output
    shown = cluster.double.all_shown("good")
    assert shown["run_report"].metadata["data_quality_page"] == f"{SITE}/tips/validations/good/index.html"
    assert "checks passed" in shown["data_quality_report"].metadata["verdict"]

    with History.open(history_url) as history:
        refused, trusted = history.load("bad"), history.load("good")
        assert refused is not None and trusted is not None
        assert refused.outcome is Outcome.FAILED and refused.span == 1 and refused.rows == 602
        assert {check.gate for check in refused.checks} == {"ExampleValidator", "DataQuality", "DriftDetector"}
        assert "-41.5" in str([check.evidence for check in refused.checks if not check.passes])
        assert {column.name for column in refused.columns} == {"fare", "miles", "kind", "tipped"}
        assert trusted.outcome is Outcome.PASSED and trusted.rows == 600
        assert [release.run_id for release in history.releases("tips")] == ["good"]
        assert trusted.documents["report"].startswith(f"{cluster.bucket}/pipelines")
        # A machine that shares the history and the store, and nothing else, builds the site.
        build(history, tmp_path / "site")
    for run_id, document in (("bad", "data_docs"), ("good", "data_docs"), ("good", "report")):
        page = page_of(tmp_path / "site", "tips", run_id)
        assert f'href="{document.replace("_", "-")}' in page.read_text() or f'href="{document}' in page.read_text()
    assert list(page_of(tmp_path / "site", "tips", "good").parent.rglob("report/index.html"))

    with pytest.MonkeyPatch.context() as patch:  # what its release was trained on is found where the run left it
        patch.setenv("TRAINYARD_METADATA", cluster.environment["TRAINYARD_METADATA"])
        patch.setenv("TRAINYARD_STORE", f"{cluster.bucket}/models")
        training = training_of("tips", ModelStore(f"{cluster.bucket}/models").resolve("tips", 1))
    assert set(training.columns.distributions[""]) == {"fare", "miles", "kind"}
    assert training.predictions.rows[""] > 50


def test_a_history_that_is_away_fails_no_node(cluster: Cluster) -> None:
    cluster.environment["TRAINYARD_HISTORY"] = f"postgresql://me:{PASSWORD}@127.0.0.1:1/nowhere"
    attempts = cluster.double.run("away", only=[*DATA, *GATES])
    assert [a.code for a in attempts] == [0] * 6, attempts[-1].output
    data = f"{cluster.bucket}/data/tips/span-1/trips.csv"
    fsspec.filesystem("s3").pipe_file(data, b"fare,miles,kind,tipped\nx,1,cash,0\n")
    (attempt,) = cluster.double.run("broken", only=["columnar-example-gen"])
    assert attempt.code == 2
    assert "the history of data quality has no entry of this run" in attempt.output and PASSWORD not in attempt.output
