"""Forms, as `curl -F` and browsers send them, and answers with the classes by name."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

from serving.codec.forms import decode_form, parse_form
from serving.codec.signature import TensorInfo
from serving.errors import BadRequestError

TEXT, NUMBER = np.dtype(object), np.dtype(np.float32)
INPUTS = {
    "photo": TensorInfo("photo", TEXT, (None,)),
    "fare": TensorInfo("fare", NUMBER, (None,)),
    "pixels": TensorInfo("pixels", NUMBER, (None, 2)),
}
TYPE = "multipart/form-data; boundary=XX"
ODD = b"\xff\x00\r\n--X\r\n\r\n\x85"  # nearly a boundary, an empty line, and what splitlines() would split at


def part(name: str, content: bytes, file: bool = False) -> bytes:
    end = b'; filename="a.jpg"\r\nContent-Type: image/jpeg' if file else b""
    return (
        b'--XX\r\nContent-Disposition: form-data; name="' + name.encode() + b'"' + end + b"\r\n\r\n" + content + b"\r\n"
    )


def test_files_are_rows_and_a_single_value_is_for_all_of_them() -> None:
    body = (
        part("photo", ODD, True)
        + part("photo", b"", True)
        + part("fare", b"2.5")
        + part("pixels", b"[1, 2]")
        + b"--XX--\r\n"
    )
    parts = parse_form(body, TYPE)
    assert parts == {"photo": [ODD, b""], "fare": ["2.5"], "pixels": ["[1, 2]"]}
    rest = {"fare": 2.5, "pixels": [1, 2]}
    assert decode_form(parts, INPUTS) == [{"photo": ODD, **rest}, {"photo": b"", **rest}]


@pytest.mark.parametrize("name", ["image", "file"])
def test_a_file_finds_the_only_input_that_takes_bytes(name: str) -> None:
    assert decode_form({name: [b"x"]}, INPUTS) == [{"photo": b"x"}]
    two = {**INPUTS, "note": TensorInfo("note", TEXT, (None,))}
    assert decode_form({name: [b"x"]}, two) == [{name: b"x"}]  # which is then refused by its name


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"", "multipart/form-data", "has no boundary"),
        (b"x", TYPE, "ends before its last boundary"),
        (part("photo", b"x", True), TYPE, "ends before its last boundary"),
        (b"--XX\r\nno head\r\n--XX--", TYPE, "no empty line"),
        (b"--XX\r\nContent-Type: a/b\r\n\r\nx\r\n--XX--", TYPE, "no Content-Disposition with a name"),
        (part("photo", b"\xff") + b"--XX--", TYPE, "Send it as a file: curl -F photo=@path"),
        (b"--XX--", TYPE, "the form has no field. Known: photo, fare, pixels"),
        (part("fare", b"much") + b"--XX--", TYPE, "field 'fare': expected float32. Received: 'much'"),
        (part("pixels", b"1,2") + b"--XX--", TYPE, "field 'pixels': expected a list in JSON"),
        (part("fare", b"1") * 2 + part("photo", b"", True) * 3 + b"--XX--", TYPE, "has 2 values, others have 3"),
    ],
)
def test_what_does_not_fit_is_said(body: bytes, content_type: str, says: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        decode_form(parse_form(body, content_type), INPUTS)
    assert says in str(raised.value)


def curl(server, path: str, *options: str) -> tuple[str, str]:
    """Status and body, as a person asks."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = f"http://127.0.0.1:{server.rest}/v1/models/{path}"
    told = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", url, *options], capture_output=True, text=True, check=True
    )
    answer, _, status = told.stdout.rpartition("\n")
    return status, answer


def test_curl_sends_files(server, tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"\xff" + name.encode())
    files = [option for name in ("a", "b") for option in ("-F", f"image=@{tmp_path / name}")]
    answer = '{"predictions":[{"image_bytes":{"b64":"/2H/"},"length":2},{"image_bytes":{"b64":"/2L/"},"length":2}]}'
    assert curl(server, "codec:predict", *files) == ("200", answer)
    status, told = curl(server, "codec:predict", "-F", "picture=x")
    assert status == "400" and "there is no input 'picture'. Known: image" in told
    status, told = curl(server, "taxi:classify", "-F", "fare=1")
    assert status == "400" and "only :predict takes a form" in told


def test_forms_answer_with_the_classes_by_name(server) -> None:
    pixels = [[0.0] * 63 + [1.0]]
    status, told = curl(server, "digits:predict", "-F", f"pixels={pixels[0]}")
    (said,) = json.loads(told)["predictions"]
    (plain,) = server.post("digits:predict", {"instances": [{"pixels": pixels[0]}]})[1]["predictions"]
    assert status == "200" and next(iter(said["classes"])) == said["label"] == plain["label"]
    assert said["classes"] == {str(n): plain["probabilities"][n] for n in range(10)} and "classes" not in plain


def test_json_gets_the_classes_by_name_where_it_asks(server) -> None:
    row = {"fare": 5, "miles": 1, "area": 3, "company": "x", "hour": 4}
    _, answer, _ = server.post("taxi:predict", {"instances": [row], "classes": True})
    (said,) = answer["predictions"]
    assert list(said["classes"]) == ["yes", "no"] and said["classes"]["yes"] == said["probability"]
    assert sum(said["classes"].values()) == pytest.approx(1)
    status, answer, _ = server.post("house:predict", {"instances": [{"area": 1}], "classes": True})
    assert status == 400 and "this model has none" in answer["error"]
    status, answer, _ = server.post("taxi:predict", {"instances": [row], "classes": "all"})
    assert status == 400 and "must be true or false" in answer["error"]
