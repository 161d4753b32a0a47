"""TF Serving's REST API, asked of a real server."""

from __future__ import annotations

import gzip
import json
import math

import pytest

ROW = {"fare": 5.0, "miles": 1.5, "area": 3, "company": "x", "hour": 4}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_predict_in_row_form(server):
    status, answer, headers = server.post("taxi:predict", {"instances": [ROW, ROW | {"fare": -5}]})
    assert (status, headers["content-type"]) == (200, "application/json")
    assert [row["label"] for row in answer["predictions"]] == ["yes", "no"]
    assert answer["predictions"][0]["probability"] == pytest.approx(sigmoid(0.5))


def test_predict_in_column_form(server):
    columns = {"fare": [5, -5], "miles": [1, 1], "area": [3, 3], "company": ["x", "x"], "hour": [4, 4]}
    status, answer, _ = server.post("taxi:predict", {"inputs": columns})
    assert status == 200
    assert answer["outputs"]["label"] == ["yes", "no"]
    assert answer["outputs"]["probability"] == pytest.approx([sigmoid(0.5), sigmoid(-0.5)])


def test_nullable_features_may_be_left_out_or_null(server):
    rows = [{"fare": 0, "hour": 1}, {"fare": 0, "hour": 1, "miles": None, "area": None, "company": None}]
    rows.append({"fare": 0, "hour": 1, "miles": 2, "area": 1})
    rows += [{"fare": 0, "hour": 1, "miles": 2, "area": 1, "company": text} for text in ("NA", "", "na")]
    answer = server.post("taxi:predict", {"instances": rows})[1]
    missing = [round(-math.log(1 / row["probability"] - 1)) for row in answer["predictions"]]
    assert missing == [3, 3, 1, 1, 1, 0]  # the test model counts them


def test_labels_versions_and_the_default(server):
    def probability(path: str) -> float:
        return server.post(f"{path}:predict", {"instances": [ROW]})[1]["predictions"][0]["probability"]

    stable, canary = pytest.approx(sigmoid(0.5)), pytest.approx(sigmoid(1.5))
    assert probability("taxi") == probability("taxi/labels/stable") == probability("taxi/versions/1") == stable
    assert probability("taxi/labels/canary") == probability("taxi/versions/2") == canary


def test_one_output_one_input_and_binary_values(server):
    assert server.post("house:predict", {"instances": [1, 2.5]})[1] == {"predictions": [2.0, 5.0]}
    assert server.post("house:predict", {"inputs": [1, 2.5]})[1] == {"outputs": [2.0, 5.0]}
    answer = server.post("codec:predict", {"instances": [{"b64": "aGk="}]})[1]
    assert answer == {"predictions": [{"image_bytes": {"b64": "aGn/"}, "length": 2}]}
    body = {"signature_name": "scale", "inputs": {"x": [[1, 2], [3, 4]], "by": 2}}
    assert server.post("codec:predict", body)[1] == {"outputs": [[2.0, 4.0], [6.0, 8.0]]}


def test_predict_with_serialized_examples(server):
    import base64

    import tensorflow as tf

    example = tf.train.Example()
    example.features.feature["area"].float_list.value.append(4)
    body = {
        "signature_name": "serving_examples",
        "instances": [{"b64": base64.b64encode(example.SerializeToString()).decode()}],
    }
    assert server.post("house:predict", body)[1] == {"predictions": [8.0]}


def test_classify(server):
    status, answer, _ = server.post(
        "taxi:classify", {"context": {"hour": 3}, "examples": [ROW_WITHOUT_HOUR, {"fare": -90}]}
    )
    assert status == 200
    (no, yes), (unlikely_no, _) = answer["results"]
    assert no == ["no", pytest.approx(1 - sigmoid(0.5))]
    assert yes == ["yes", pytest.approx(sigmoid(0.5))]
    assert unlikely_no[1] > 0.99
    pixels = {"pixels": [1] * 64}
    assert len(server.post("digits:classify", {"examples": [pixels]})[1]["results"][0]) == 10


ROW_WITHOUT_HOUR = {name: value for name, value in ROW.items() if name != "hour"}


def test_regress(server):
    assert server.post("house:regress", {"examples": [{"area": 2}, {"area": [1.5]}]})[1] == {"results": [4.0, 3.0]}
    named = {"signature_name": "regress", "examples": [{"area": 2}]}
    assert server.post("house:regress", named)[1] == {"results": [4.0]}


def test_status(server):
    status, answer, _ = server.get("/v1/models/taxi")
    fine = {"error_code": "OK", "error_message": ""}
    assert status == 200
    assert answer == {
        "model_version_status": [
            {"version": "2", "state": "AVAILABLE", "status": fine},
            {"version": "1", "state": "AVAILABLE", "status": fine},
        ]
    }
    assert server.get("/v1/models/taxi/labels/canary")[1]["model_version_status"][0]["version"] == "2"
    assert server.get("/v1/models/taxi/versions/1")[1]["model_version_status"][0]["version"] == "1"
    assert server.get("/v1/models/taxi/versions/9")[0] == 404


def test_metadata_as_tf_serving_prints_it(server):
    status, answer, _ = server.get("/v1/models/house/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "house", "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["area"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["area"]["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("nope:predict", {"instances": [1]}, 404, "there is no model 'nope' here. Served: codec, digits, house, taxi"),
        ("taxi/versions/3:predict", {"instances": [1]}, 404, "taxi version 3 is not loaded. Loaded versions: 1, 2"),
        ("taxi/versions/one:predict", {"instances": [1]}, 400, "a version is a whole number. Received: 'one'"),
        ("taxi/labels/beta:predict", {"instances": [1]}, 404, "no label 'beta' loaded. Labels: canary, stable"),
        ("taxi:predict", b'{"instances": [', 400, "the body is not valid JSON"),
        ("taxi:predict", {"instances": [{"hour": 1}]}, 400, "instances[0].fare: expected a value (float32)"),
        (
            "taxi:predict",
            {"instances": [ROW | {"fare": "5"}]},
            400,
            "instances[0].fare: expected a number (float32). Rec",
        ),
        (
            "taxi:predict",
            b'{"inputs": {"fare": [1, NaN], "hour": [1, 2]}}',
            400,
            "row 1, input 'fare': expected a value (float32). Received: nan, which means that it is missing",
        ),
        (
            "taxi:predict",
            {"instances": [ROW | {"hour": -(2**63)}]},
            400,
            "row 0, input 'hour': expected a value (int64)",
        ),
        ("taxi:classify", {"examples": [ROW | {"hour": -(2**63)}]}, 400, "examples[0].hour: expected a value (int64)"),
        ("digits:predict", {"instances": [[1] * 63]}, 400, "instances[0]: expected shape [64] for 'pixels'"),
        (
            "taxi:predict",
            {"signature_name": "x", "instances": [1]},
            400,
            "taxi has no signature 'x'. Known: classify, ser",
        ),
        (
            "taxi:predict",
            {"signature_name": 5, "instances": [1]},
            400,
            '"signature_name" must be a string. Received: 5',
        ),
        ("taxi:regress", {"examples": [ROW]}, 400, "is not for regress"),
        ("house:classify", {"examples": [{"area": 1}]}, 400, "is not for classify"),
        ("taxi:classify", {"examples": []}, 400, 'the body needs "examples", a list of at least one object'),
        ("taxi:classify", {"examples": [{"fare": 1}]}, 400, "examples[0].hour: expected a value (int64)"),
        ("taxi:classify", {"examples": [ROW | {"hour": 1.5}]}, 400, "examples[0].hour: expected int64. Received: 1.5"),
        ("taxi:classify", {"examples": [ROW], "context": {"hour": 1}}, 400, "examples[0].hour: stands in context too"),
        ("taxi:classify", {"examples": [ROW | {"zzz": 1}]}, 400, "examples[0]: there is no feature 'zzz'"),
        (
            "taxi:predict",
            {"signature_name": "serving_examples", "instances": ["x"]},
            400,
            "Could not parse example input",
        ),
        ("taxi/zzz", {}, 404, "malformed path /v1/models/taxi/zzz"),
        ("taxi", {}, 405, "Did you mean /v1/models/taxi:predict?"),
    ],
)
def test_errors_are_one_helpful_line(server, path, body, status, message):
    answered, answer, _ = server.post(path, body)
    assert answered == status
    assert list(answer) == ["error"]
    assert message in answer["error"]
    assert "\n" not in answer["error"]


def test_other_paths(server):
    assert server.get("/v1/models/taxi:predict")[0] == 405
    assert server.get("/nowhere")[:2] == (
        404,
        {"error": "there is nothing at /nowhere. Models are at /v1/models/<model>."},
    )
    status, _, headers = server.get("/healthz/")
    assert status == 404 and "location" not in headers
    assert server.ask("HEAD", "/v1/models/taxi")[0] == 200
    assert "trainyard_serving_ready" in server.get("/monitoring/prometheus/metrics")[1]
    assert server.get("/livez")[:2] == (200, {"status": "alive"})


def test_the_models_are_listed(server):
    status, answer, _ = server.get("/v1/models")
    assert status == 200 and [one["name"] for one in answer["models"]] == ["codec", "digits", "house", "taxi"]
    assert answer["models"][3] == {"name": "taxi", "ready": True, "labels": {"canary": 2, "stable": 1}}


def test_a_compressed_body(server):
    def posted(body, encoding="gzip"):
        return server.ask("POST", "/v1/models/house:predict", body, {"Content-Encoding": encoding})[:2]

    asked = gzip.compress(json.dumps({"instances": [1]}).encode())
    assert posted(asked) == (200, {"predictions": [2.0]})
    for body, encoding, status, message in (
        (asked[:-9], "gzip", 400, "breaks off"),
        (b"{}", "gzip", 400, "not valid gzip"),
        (asked, "br", 400, "gzip is known, or none. Received: 'br'"),
        (gzip.compress(b" " * (80 << 20)), "gzip", 413, "unpacked"),
    ):
        answered, answer = posted(body, encoding)
        assert answered == status and message in answer["error"]


def test_health_and_metrics(server):
    status, answer, _ = server.get("/healthz")
    assert (status, answer["status"], answer["models"]["taxi"]) == (200, "ready", {"stable": 1, "canary": 2})
    server.post("taxi/labels/canary:predict", {"instances": [ROW]})
    server.post("nope:predict", {"instances": [ROW]})
    text = server.get("/metrics")[1]
    told = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}
    labels = 'label="canary",method="predict",model="taxi",protocol="rest",version="2"'
    assert told[f'trainyard_serving_requests_total{{code="OK",{labels}}}'] >= 1
    assert told[f"trainyard_serving_request_seconds_count{{{labels}}}"] >= 1
    assert told['trainyard_serving_loaded_version{label="canary",model="taxi"}'] == 2
    assert told["trainyard_serving_ready"] == 1
    assert not any("nope" in name for name in told), "callers could fill the memory with names"


def test_a_large_batch(server):
    rows = 5000
    answer = server.post("taxi:predict", {"instances": [ROW] * rows})[1]
    assert len(answer["predictions"]) == rows
    assert len(json.dumps(answer["predictions"][0])) < 80
