"""The same steps against an InferenceService; Kubernetes and KServe are a stand-in that keeps their contract."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dags.deployment import Deployment, DeploymentRefused, kserve
from model_store import ModelStore, ReleaseDraft
from tests.dags.deployment.conftest import serving
from tests.dags.deployment.doubles.kserve_api import TOKEN, Cluster, serve
from tests.model_store.test_signing import make_keys

said: list[str] = []


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """KServe, a store of three releases of which the first is stable, and an Airflow connection to reach it."""
    store = ModelStore(tmp_path / "models")
    export = tmp_path / "export"
    (export / "assets.extra").mkdir(parents=True)
    (export / "saved_model.pb").write_bytes(b"graph")
    (export / "assets.extra" / "golden_requests.json").write_text(json.dumps({"instances": [{"fare": 1.0}] * 3}))
    for key in ("1", "2", "3"):
        store.publish("taxi", export, ReleaseDraft(publication_key=key, task="binary"))
    found = Cluster()
    server = serve(found)
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("TRAINYARD_STORE", store.uri)
    monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", json.dumps({"conn_type": "http", "host": url, "password": TOKEN}))
    monkeypatch.setattr(kserve, "_POLL_S", 0.01)
    yield found
    server.shutdown()
    server.server_close()


def deploy(version: int, previous: int | None, **changes: object) -> Deployment:
    settings = {"namespace": "models", "connection": "cluster", "storage": "s3://bucket/models", **changes}
    return Deployment("taxi", serving(kserve=settings, max_changed_answers=1.0), version, previous)


def first(cluster: Cluster) -> ModelStore:
    """Version 1 has all requests."""
    release = deploy(1, None)
    release.load("test", said.append)
    release.promote("test", said.append)
    return ModelStore(os.environ["TRAINYARD_STORE"])


def shares(cluster: Cluster) -> dict[str, int]:
    found = cluster.get("http://x")
    assert found is not None
    traffic = found["status"]["components"]["predictor"]["traffic"]
    return {cluster.models[one["revisionName"]].rsplit("/", 1)[-1]: one["percent"] for one in traffic}


def test_first_release_makes_the_service(cluster: Cluster) -> None:
    store = first(cluster)
    assert cluster.service is not None
    assert cluster.service["spec"]["predictor"]["model"]["storageUri"] == "s3://bucket/models/taxi/1"
    assert (shares(cluster), store.labels("taxi")) == ({"1": 100}, {"stable": 1})


def test_the_service_is_given_public_keys_and_never_the_private_one(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = make_keys(tmp_path, "team")
    export, store = tmp_path / "export", os.environ["TRAINYARD_STORE"]
    monkeypatch.setenv("TRAINYARD_SIGNING_KEY", str(private))
    monkeypatch.setenv("TRAINYARD_PUBLIC_KEYS", str(public))
    version = ModelStore(store).publish("taxi", export, ReleaseDraft("signed", task="binary")).version
    deploy(version, None).load("test", said.append)
    assert cluster.service is not None
    model = cluster.service["spec"]["predictor"]["model"]
    assert model["env"] == [{"name": "TRAINYARD_PUBLIC_KEYS", "value": public.read_text()}]
    assert "PRIVATE" not in json.dumps(cluster.service)


def test_release_takes_over_step_by_step(cluster: Cluster) -> None:
    store = first(cluster)
    release = deploy(2, 1)
    for _ in range(2):  # the second time as after a crash: it finds everything done
        release.load("test", said.append)
        assert shares(cluster) == {"2": 0, "1": 100}
    comparison = release.compare(said.append)
    assert (comparison.requests, comparison.changed_share) == (3, 0.0), "labels agree; it is the right two it has asked"
    assert release.target.ask("canary", [{}]).predictions[0]["probability"] == 0.52
    assert release.target.ask("stable", [{}]).predictions[0]["probability"] == 0.51
    begun = release.begin_step(0.05, "test", said.append)
    assert shares(cluster) == {"2": 5, "1": 95}
    assert release.end_step(begun, said.append)["judged_by"] == "sample requests"
    release.begin_step(0.004, "test", said.append)
    assert shares(cluster)["2"] == 1, "less than a percent is still something"
    for _ in range(2):
        release.promote("test", said.append)
        assert (shares(cluster), store.labels("taxi")) == ({"2": 100}, {"stable": 2})
    assert len(cluster.models) == 2, "one revision a release"


def test_bad_canary_loses_its_traffic_first_and_stays_out_of_the_spec(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = first(cluster)
    url = json.loads(os.environ["AIRFLOW_CONN_CLUSTER"])["host"]
    release = deploy(2, 1, prometheus=url)
    release.load("test", said.append)
    begun = release.begin_step(0.5, "test", said.append)
    canary, stable = begun["canary"], begun["stable"]
    cluster.requests.update({(canary, "2xx"): 90, (canary, "5xx"): 10, (stable, "2xx"): 100})
    verdict = release.look(begun)
    assert verdict is not None and "10 of 100 requests of the canary failed" in verdict.reasons[0]
    with pytest.raises(DeploymentRefused, match="error_rate"):
        release.end_step(begun, said.append)
    release.brake("test")
    assert shares(cluster) == {"2": 0, "1": 100}
    cluster.patches.clear()
    for _ in range(2):
        release.roll_back("test", said.append)
    assert cluster.patches[0] == {"spec": {"predictor": {"canaryTrafficPercent": 0}}}, "traffic before anything else"
    assert {"1": 100}.items() <= {v: p for v, p in shares(cluster).items() if p}.items()
    assert cluster.service is not None
    assert cluster.service["spec"]["predictor"]["model"]["storageUri"].endswith("/taxi/1")
    assert store.labels("taxi") == {"stable": 1}


def test_release_that_was_rolled_out_is_taken_back(cluster: Cluster) -> None:
    store = first(cluster)
    release = deploy(2, 1)
    release.load("test", said.append)
    release.promote("test", said.append)
    release.roll_back("a later check failed", said.append)
    assert {v: p for v, p in shares(cluster).items() if p} == {"1": 100}
    assert store.labels("taxi") == {"stable": 1}
    following = deploy(3, 1)
    following.load("test", said.append)
    assert shares(cluster) == {"3": 0, "1": 100}, "the next one starts beside the good one"


def test_what_cannot_be_is_refused_with_the_reason(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    first(cluster)
    cluster.bad_models.add("s3://bucket/models/taxi/2")
    for changes, reason in [
        ({"storage": None}, "KServe cannot read the model store at /.*serving.kserve.storage"),
        ({}, "KServe could not load version 2: cannot read saved_model.pb"),
        ({"connection": "nobody"}, "Airflow has no connection 'nobody'"),
        ({"connection": None}, "no service account here"),
    ]:
        with pytest.raises(DeploymentRefused, match=reason):
            deploy(2, 1, **changes).load("test", said.append)
    monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", json.dumps({"conn_type": "http", "host": "http://x", "password": ""}))
    with pytest.raises(DeploymentRefused, match=r"needs host .* and a bearer token"):
        deploy(2, 1).load("test", said.append)
