"""The OpenAPI document, held against its own rules and against the server, and the page in a real browser."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Server, publisher
from own_environment import by_client

from model_store import ModelStore

ROW = {"fare": 9.5, "miles": 2.5, "area": 3, "company": None, "hour": 18}


@pytest.fixture(scope="module")
def server(exports: dict[str, pathlib.Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """taxi, with the row that it was tested with; house, digits and codec, without one."""
    folder = tmp_path_factory.mktemp("openapi")
    store = ModelStore(folder / "models")
    shutil.copytree(exports["taxi_0"], folder / "taxi")
    (folder / "taxi" / "assets.extra" / "golden_requests.json").write_text(json.dumps({"instances": [ROW]}))
    publisher(store)("taxi", folder / "taxi")
    for name in ("house", "digits", "codec"):
        publisher(store)(name, exports[name])
    running = Server(folder, store).wait_until_ready()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    return server.get("/openapi.json")[1]


def predict(document: Any, model: str) -> Any:
    return document["paths"][f"/v1/models/{model}:predict"]["post"]


def test_it_is_valid_and_so_are_its_examples(server: Server) -> None:
    found = by_client("openapi_validator.py", server, "openapi-spec-validator==0.7.2")
    assert found == {"version": "3.1.0", "examples": 7, "wrong": []}


def test_a_row_is_described_by_the_columns_and_shown_as_it_was_tested(document: Any) -> None:
    content = predict(document, "taxi")["requestBody"]["content"]["application/json"]
    assert content["example"] == {"instances": [ROW]}
    row = content["schema"]["properties"]["instances"]["items"]
    assert row["required"] == ["fare", "hour"]
    assert row["properties"]["miles"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    pixels = predict(document, "digits")["requestBody"]["content"]["application/json"]["schema"]
    assert pixels["properties"]["instances"]["items"]["properties"] == {
        "pixels": {"type": "array", "items": {"type": "number"}, "minItems": 64, "maxItems": 64}
    }


def test_every_path_is_there_and_every_example_is_answered(server: Server, document: Any) -> None:
    for path, item in document["paths"].items():
        if "get" in item:
            assert server.get(path)[0] == 200, path
        content = item.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in content:
            assert server.ask("POST", path, content["example"])[0] == 200, path


def test_only_what_explains_its_answers_offers_it(document: Any) -> None:
    assert [one["name"] for one in predict(document, "house")["parameters"]] == ["explain"]
    assert "parameters" not in predict(document, "taxi")


def test_the_page_has_nothing_from_elsewhere_and_nothing_inline(server: Server) -> None:
    status, page, headers = server.get("/docs")
    assert (status, headers.get_content_type()) == (200, "text/html")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    files = [server.get(path)[1] for path in re.findall(r'(?:src|href)="(/docs/[^"]+)"', page)]
    assert len(files) == 2
    assert not re.search(r"https?://|<script>|<style| on\w+=| style=", "".join([page, *files]))


def test_a_person_tries_a_request(server: Server) -> None:
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no Chromium is installed (Debian: apt install chromium)")
    found = by_client("docs_page.py", server, "httpx", "websockets", "pytest")
    assert "label\tyes" in found["answered"] and "how probable each class is" in found["answered"]
    assert "'fare' may not be missing or null" in found["refused"]
    assert "what moved the score from 100 to 120" in found["explained"]
    assert found["body"] == {"instances": [{"area": 60}]}
    assert found["command"].startswith(
        f"curl 'http://127.0.0.1:{server.rest}/v1/models/house:predict?explain=true' -d '"
    )
