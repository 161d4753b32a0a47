"""The canary's share: who gets it, and that a broken canary costs no caller an answer."""

from __future__ import annotations

import json
import pathlib
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import saved_models
import tensorflow as tf
from conftest import Publish, Server, publisher, wait_for
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from model_store import ModelStore

ROW = {"fare": 0.0, "miles": 1.0, "area": 3, "company": "A", "hour": 7}
FARES = [n / 10 for n in range(1, 121)]


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Models that load and then do not do: answers of NaN, an error on every request, one that hangs, another input."""
    folder = tmp_path_factory.mktemp("broken")
    saved_models.save_taxi(folder / "nan", float("nan"))
    saved_models.save_failing(folder / "raises")
    saved_models.save_slow(folder / "hangs", seconds=2.0)
    saved_models.save_house(folder / "other")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def running(
    exports: dict[str, pathlib.Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, ModelStore]]:
    """A server, and its store, with a model for each test that asks it: 1 is stable and 2 the canary, of another bias."""
    folder = tmp_path_factory.mktemp("canaries")
    store = ModelStore(folder / "models")
    publish = publisher(store)
    for model in ("shared", "misused", "called"):
        publish(model, exports["taxi_0"])
        publish(model, exports["taxi_3"], "canary")
    server = Server(folder, store)
    try:
        yield server.wait_until_ready(), store
    finally:
        server.stop()


def ask(server: Server, fares: list[float], path: str) -> list[tuple[int, Any]]:
    def one(fare: float) -> tuple[int, Any]:
        status, body, _ = server.post(path, {"instances": [{**ROW, "fare": fare}]})
        return status, body.get("predictions", body)

    with ThreadPoolExecutor(4) as clients:
        return list(clients.map(one, fares))


def give_share(server: Server, store: ModelStore, share: float, model: str) -> None:
    """Gives the canary, version 2, a share once it is loaded."""
    store.set_label(model, "canary", 2, share=share, reason="test", actor="test")
    wait_for(lambda: metric(server, "canary_share", model=model) == share)
    wait_for(lambda: metric(server, "loaded_version", model=model, label="canary") == 2)


def metric(server: Server, name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels."""
    total = 0.0
    for line in server.get("/metrics")[1].splitlines():
        match = re.fullmatch(rf"trainyard_serving_{name}(?:_total)?(?:{{(.*)}})? (\S+)", line)
        if match and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', match[1] or "")).items():
            total += float(match[2])
    return total


def test_the_share_is_kept_and_a_label_that_is_named_is_served(running: tuple[Server, ModelStore]) -> None:
    server, store = running
    assert {version_of(fare, answer) for fare, answer in asked(server)} == {1}, "a label alone takes no traffic"
    give_share(server, store, 0.3, "shared")
    versions = Counter(version_of(fare, answer) for _ in range(2) for fare, answer in asked(server))
    assert 40 < versions[2] < 110, "72 of 240 requests, give or take"
    asked_for = ask(server, FARES[:20], "shared/labels/stable:predict")
    assert {version_of(fare, a) for fare, a in zip(FARES, asked_for, strict=False)} == {1}, "who names a label gets it"
    assert metric(server, "requests", model="shared", version="2", label="canary", code="OK") == versions[2]
    store.withdraw("shared", 2, reason="test", actor="test")
    wait_for(lambda: metric(server, "canary_share", model="shared") == 0)
    assert {version_of(fare, answer) for fare, answer in asked(server)} == {1}


def asked(server: Server) -> list[tuple[float, tuple[int, Any]]]:
    return list(zip(FARES, ask(server, FARES, "shared:predict"), strict=True))


def version_of(fare: float, answer: tuple[int, Any]) -> int:
    """taxi_0 and taxi_3 differ in their bias, so an answer says which of them gave it."""
    status, predictions = answer
    assert status == 200, predictions
    stable = float(tf.sigmoid(fare / 10))
    return 1 if abs(predictions[0]["probability"] - stable) < 1e-4 else 2


# A broken canary -> why stable answered, and the code that it is counted under. What hangs comes last: it keeps the lane busy.
BROKEN = {
    "nan": ("not finite", "INTERNAL"),
    "raises": ("failed", "INTERNAL"),
    "other": ("refused", "INTERNAL"),
    "hangs": ("timeout", "DEADLINE_EXCEEDED"),
}


def test_a_broken_canary_fails_no_caller(
    start: Any,
    store: ModelStore,
    publish: Publish,
    exports: dict[str, pathlib.Path],
    broken: dict[str, pathlib.Path],
) -> None:
    for model in BROKEN:
        publish(model, exports["taxi_0"])
        publish(model, broken[model], "canary")
    server = start("--canary-seconds", "0.3").wait_until_ready()
    fares = FARES[:24]
    for model, (reason, code) in BROKEN.items():
        give_share(server, store, 1.0, model)
        answers = ask(server, fares, f"{model}:predict")
        assert {version_of(fare, answer) for fare, answer in zip(fares, answers, strict=True)} == {1}, model
        failed = metric(server, "requests", model=model, version="2", label="canary", code=code)
        busy = metric(server, "canary_fallbacks", model=model, version="2", reason="busy")
        assert failed == metric(server, "canary_fallbacks", model=model, version="2", reason=reason) > 0, model
        answered = metric(server, "requests", model=model, version="1", label="stable", code="OK")
        assert failed + busy == len(fares) == answered, model
        assert metric(server, "requests", model=model, version="1") == len(fares), f"{model}: nothing failed at stable"
        assert metric(server, "predictions", model=model, version="2") == 0, f"{model}: nobody got that answer"


def test_a_bad_request_is_the_callers_and_not_the_canarys(running: tuple[Server, ModelStore]) -> None:
    server, store = running
    give_share(server, store, 1.0, "misused")
    status, body, _ = server.post("misused:predict", {"instances": [{"fare": "a lot"}]})
    assert (status, "fare" in body["error"]) == (400, True)
    assert metric(server, "requests", model="misused", version="2", code="INVALID_ARGUMENT") == 1
    assert metric(server, "canary_fallbacks", model="misused") == 0


def test_grpc_has_the_canary_too_and_predictions_are_counted_by_version(running: tuple[Server, ModelStore]) -> None:
    server, store = running
    give_share(server, store, 0.5, "called")
    versions = Counter()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        client = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for fare in FARES[:60]:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "called"
            for name, value in {**ROW, "fare": fare}.items():
                kind = tf.int64 if isinstance(value, int) else None
                request.inputs[name].CopyFrom(tf.make_tensor_proto([value], dtype=kind))
            versions[client.Predict(request, timeout=10).model_spec.version.value] += 1
    assert set(versions) == {1, 2}
    for version, rows in versions.items():
        assert metric(server, "predictions", model="called", version=str(version), output="probability") == rows
    assert metric(server, "predictions", model="called", version="2", output="label", bin="yes") == versions[2]
    assert metric(server, "predictions", model="called", version="1", output="probability", bin="0.50") > 0
    assert metric(server, "predictions", model="called", version="2", output="probability", bin="0.95") > 0


def test_explanations_are_answered_and_are_no_predictions(
    start: Any, publish: Publish, exports: dict[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    publish("house", exports["house"])
    server = start("--record", str(tmp_path / "record"), "--record-rate", "1").wait_until_ready()
    asked = {"signature_name": "explain", "instances": [{"area": 80}]}
    status, answer, _ = server.post("house:predict", asked)
    assert status == 200
    assert answer == {"predictions": [{"area_attribution": 60.0, "explained": 160.0, "baseline_score": 100.0}]}
    assert server.post("house:predict", {"instances": [80]})[1] == {"predictions": [160.0]}
    wait_for(lambda: metric(server, "recorded_rows", outcome="written") == 1)
    assert metric(server, "requests", model="house", code="OK") == 2
    assert metric(server, "predictions", model="house") == 1


def test_the_record_is_bounded_sampled_and_leaves_out_what_is_personal(
    start: Any, store: ModelStore, publish: Publish, exports: dict[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    export = tmp_path / "export"
    saved_models.save_taxi(export, 0.0)
    described = export / "assets.extra" / "trainyard.json"
    said = json.loads(described.read_text())
    said["features"]["company"]["personal"] = True
    described.write_text(json.dumps(said))
    publish("taxi", export)
    folder = tmp_path / "record"
    options = ("--record", str(folder), "--record-mb", "0.02", "--record-exclude", "hour")
    server = start(*options, "--record-rate", "1").wait_until_ready()
    unsampled = start("--record", str(tmp_path / "none"), "--record-rate", "0").wait_until_ready()
    body = {"instances": [{"fare": 2.5, "company": "A", "hour": 1}, {"fare": 3.0, "area": 4, "hour": 2}]}
    assert server.post("taxi:predict", body)[0] == unsampled.post("taxi:predict", body)[0] == 200
    wait_for(lambda: metric(server, "recorded_rows", outcome="written") == 2)
    (segment,) = (folder / "taxi").glob("*.jsonl")
    first, second = map(json.loads, segment.read_text().splitlines())
    assert first.pop("at") <= second.pop("at")
    assert re.fullmatch("[0-9a-f]{32}", first.pop("request_id")), "a request without an id is given one"
    probability = first["prediction"].pop("probability")
    assert probability == pytest.approx(float(tf.sigmoid(0.25 + 2)), abs=1e-5)
    assert first == {
        "row": 0,
        "model": "taxi",
        "version": 1,
        "label": "stable",
        "columns": {"fare": 2.5, "miles": None, "area": None},
        "prediction": {"label": "yes"},
    }
    assert second["columns"] == {"fare": 3.0, "miles": None, "area": 4}
    assert segment.stat().st_mode & 0o777 == 0o600
    for _ in range(25):
        assert server.post("taxi:predict", {"instances": [{"fare": fare, "hour": 1} for fare in FARES[:20]]})[0] == 200
    wait_for(
        lambda: sum(metric(server, "recorded_rows", outcome=o) for o in ("written", "dropped")) == 402
    )  # 16 rows of a batch
    size = sum(path.stat().st_size for path in (folder / "taxi").iterdir())
    assert 0 < size < 0.03 * 2**20, "what is too much goes, the oldest first"
    assert not segment.exists()
    assert not (tmp_path / "none" / "taxi").exists()
