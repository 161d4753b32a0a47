"""Compressed variants of a small workload: made, judged, released, served by name, and held back where they lose too much."""

from __future__ import annotations

import http.client
import json
import pathlib
import subprocess
import time

import numpy as np
import pytest
import tensorflow as tf

from components.evaluator.contender import Contender
from model_store import ModelStore, variants_in
from pipelines.run import Display, RunRequest, run
from pipelines.runners.results import RunResult
from spec import home

SERVING = home.ROOT / ".venv" / "serving" / "bin" / "python"
INT8 = "{name: int8, method: litert-int8, max_loss: 0.05}"
# Of so small a model the graph is most of the bytes, whatever its weights are.
SPARSE = "{name: sparse, method: pruned, max_loss: 0.2, max_size: 2, sparsity: 0.5, epochs: 2}"
HALF = "{name: half, method: litert-float16, max_loss: 0.005, max_latency: 50}"
DENSE8 = "{name: dense8, method: keras-int8, max_loss: 0.05, max_size: 2}"
LOSING = "{name: empty, method: pruned, sparsity: 0.999, epochs: 1, max_loss: 0.01, max_size: 2}"
ROWS = [{"fare": 55.0, "miles": 18.0, "kind": "card"}, {"fare": 4.0, "kind": "cash"}, {"fare": 30.0, "kind": "none"}]


def trained_with(yard, *variants: str) -> RunResult:
    text = (yard.folder / "workload.yaml").read_text().partition("export:")[0]
    yard.write(workload=f"{text}export:\n  variants: [{', '.join(variants)}]\n")
    found = run(RunRequest("tips"), Display())
    assert found.status == "succeeded", found.error
    return found


def test_variants_are_released_with_the_model(restored) -> None:
    found = trained_with(restored, INT8, SPARSE)
    assert found.release, found.reasons
    variants = {one["name"]: one for one in found.variants["variants"]}
    assert all(one["passes"] and set(one["milliseconds"]) == {"1", "64"} for one in variants.values())
    assert variants["int8"]["size"] < 0.9
    store = ModelStore(home.store_uri())
    release = store.release("tips", found.release["version"])
    assert release.variants == ("int8", "sparse") and not store.verify("tips", release.version)
    assert set(release.metrics["variants"]["variants"][0]) >= {"name", "loss", "size", "latency"}
    assert _zeros(variants_in(pathlib.Path(release.uri))["sparse"]) == pytest.approx(0.5, abs=0.02)
    page = pathlib.Path(found.reports["run"]).read_text()
    assert 'id="variants"' in page and "litert-int8" in page


@pytest.mark.slow
def test_a_variant_that_loses_too_much_keeps_the_model_from_being_released(restored) -> None:
    store = ModelStore(home.store_uri())
    before = store.versions("tips")
    found = trained_with(restored, LOSING)
    assert found.release is None and store.versions("tips") == before
    (said,) = [one for one in found.reasons if "worse than the model's own" in one]
    assert said.startswith("variant empty: auc 0.5") and "raise its max_loss under export.variants" in said


@pytest.mark.slow
def test_the_model_server_answers_by_the_name_of_a_variant(restored) -> None:
    if not SERVING.exists():
        pytest.skip("the serving environment is not installed: ./trainyard setup serving")
    found = trained_with(restored, INT8, SPARSE, HALF, DENSE8)
    assert found.release, found.reasons
    variants = {one["name"]: one for one in found.variants["variants"]}
    assert variants["half"]["value"] == pytest.approx(found.metrics["auc"], abs=0.005)
    store = ModelStore(home.store_uri())
    release = store.promote("tips", found.release["version"], reason="test", actor="test")
    _serve_and_ask(restored.root, pathlib.Path(release.uri))


@pytest.mark.slow
def test_a_text_among_the_features_is_not_for_litert(restored) -> None:
    features, model = ((restored.folder / name).read_text() for name in ("features.py", "model.py"))
    lookup = 'keras.layers.StringLookup(vocabulary=["card"], output_mode="one_hot")(inputs["word"])'
    restored.write(
        workload=f"{(restored.folder / 'workload.yaml').read_text()}export: {{variants: [{HALF}]}}\n",
        features=features.replace('"kind":', '"word": inputs["kind"],\n        "kind":'),
        model=model.replace("    parts.append", f"    parts.append({lookup})\n    parts.append", 1),
    )
    found = run(RunRequest("tips"), Display())
    assert found.exit_code == 2
    assert "export.variants: half: LiteRT takes numbers, and feature 'word' is text. Let features.py" in found.error


def _zeros(saved_model: pathlib.Path) -> float:
    """The share of zeros in the matrices of a SavedModel."""
    weights = [np.asarray(one) for one in tf.saved_model.load(str(saved_model))._variables]
    matrices = [one for one in weights if one.ndim == 2]
    return sum((one == 0).sum() for one in matrices) / sum(one.size for one in matrices)


def _serve_and_ask(root: pathlib.Path, folder: pathlib.Path) -> None:
    """The model server answers by a variant's name as the evaluated folder does."""
    ready, log = root / "ready.json", root / "server.log"
    argv = [SERVING, "-m", "serving", "--store", home.store_uri(), "--rest-port", "0", "--grpc-port", "0"]
    with log.open("wb") as said:
        server = subprocess.Popen([*argv, "--ready-file", ready], stdout=said, stderr=said, cwd=home.ROOT)
    try:
        deadline = time.monotonic() + 120
        while not ready.is_file():
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        port = json.loads(ready.read_text())["rest"]
        signatures = _asked(port, "GET", "/v1/models/tips/metadata")["metadata"]["signature_def"]["signature_def"]
        raw = {
            "fare": np.array([one["fare"] for one in ROWS], np.float32),
            "miles": np.array([one.get("miles", np.nan) for one in ROWS], np.float32),
            "kind": np.array([one["kind"].encode() for one in ROWS], object),
        }
        for name, variant in variants_in(folder).items():
            assert signatures[name] == signatures["serving_default"]
            answers = _asked(port, "POST", "/v1/models/tips:predict", {"signature_name": name, "instances": ROWS})
            expected = Contender(variant).answer(raw)
            assert [one["probability"] for one in answers["predictions"]] == pytest.approx(
                expected["probability"].tolist(), abs=1e-5
            )
            assert [one["label"] for one in answers["predictions"]] == [one.decode() for one in expected["label"]]
    finally:
        server.terminate()
        server.wait(timeout=60)


def _asked(port: int, method: str, path: str, body: object = None) -> dict:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, json.dumps(body) if body else None)
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert response.status == 200, answer
    return answer
