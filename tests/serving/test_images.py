"""Images by URL: from an S3 server and an HTTPS server, and all that is refused."""

from __future__ import annotations

import asyncio
import base64
import http.server
import pathlib
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import certificates
import fsspec
import numpy as np
import pytest
from conftest import Publish, Server

from serving.codec.signature import TensorInfo
from serving.errors import BadRequestError, NotReadyError, ServingError
from serving.images.fetching import Images
from serving.images.urls import insist_on_allowed, is_prefix
from tests.servers import s3_server

INPUTS = {
    "image": TensorInfo("image", np.dtype(object), (None,)),
    "age": TensorInfo("age", np.dtype(np.float32), (None,)),
}
ONLY = {"image": INPUTS["image"]}


def fetched(prefix: str, rows: list[Any], inputs: dict[str, TensorInfo] = INPUTS, most: int = 100) -> list[Any]:
    return asyncio.run(Images([prefix], most).in_place(rows, inputs))


def refused(prefix: str, *urls: Any, kind: type[ServingError] = BadRequestError) -> str:
    with pytest.raises(kind) as raised:
        fetched(prefix, [{"image": {"url": url}, "age": 1.0} for url in urls])
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A prefix below which `a.jpg` lies."""
    with s3_server() as settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()
        store = fsspec.filesystem("s3")
        store.mkdir("pictures")
        store.pipe("pictures/in/a.jpg", b"a picture")
        store.pipe("pictures/in/large.jpg", b"x" * 101)
        store.pipe("pictures/out.jpg", b"not for you")
        yield "s3://pictures/in/"
        fsspec.filesystem("s3").clear_instance_cache()


def test_from_an_object_store(bucket: str) -> None:
    rows = [{"image": {"url": f"{bucket}a.jpg"}, "age": 1.0}, {"image": {"b64": "AA=="}, "age": 2.0}]
    before = [dict(row) for row in rows]
    assert fetched(bucket, rows) == [{"image": b"a picture", "age": 1.0}, rows[1]]
    assert rows == before, "the canary's turn may be followed by stable's"
    assert fetched(bucket, [{"url": f"{bucket}a.jpg"}], ONLY) == [b"a picture"]
    assert "there is no image at s3://pictures/in/b.jpg" in refused(bucket, f"{bucket}b.jpg")
    assert "has more than 100 bytes" in refused(bucket, f"{bucket}large.jpg")
    assert "may have 100 bytes together" in refused(bucket, *[f"{bucket}a.jpg"] * 12)


@pytest.mark.parametrize(
    "url",
    [
        "s3://pictures/out.jpg",
        "s3://pictures/in",
        "s3://pictures/in/../out.jpg",
        "s3://pictures/in/%2e%2e/out.jpg",
        "s3://pictures/in/%252e%252e/out.jpg",
        "s3://pictures/in/..%2fout.jpg",
        "s3://pictures/in/..%5cout.jpg",
        "s3://pictures/in/a.jpg?versionId=1",
        "s3://pictures/in/a.jpg#x",
        "s3://pictures/in//a.jpg",
        "s3://pictures/in/",
        "s3://pictures/in/a b.jpg",
        "s3://pictures/in/a\r\nX: y",
        "s3://pictures/in/" + "a" * 2048,
        "S3://pictures/in/a.jpg",
        "file:///etc/passwd",
        "/etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "https://pictures.example@127.0.0.1/a.jpg",
    ],
)
def test_what_is_not_below_a_prefix_however_it_is_read(url: str) -> None:
    with pytest.raises(BadRequestError):
        insist_on_allowed(url, ["s3://pictures/in/", "https://pictures.example/"], "instances[0].image")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("s3://bucket/", True),
        ("https://host:8443/a/b/", True),
        ("https://host", False),
        ("https://host/a", False),
        ("http://host/", False),
        ("file:///data/", False),
        ("https://user@host/", False),
        ("/data/", False),
    ],
)
def test_prefixes_are_whole(text: str, good: bool) -> None:
    assert is_prefix(text) == good


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.endswith("a.jpg"):
            self._answer(200, b"a picture")
        elif self.path.endswith("large.jpg"):
            self._answer(200, b"x" * 101)
        elif self.path.endswith("elsewhere.jpg"):
            self._answer(302, b"", Location="https://127.0.0.1/secret")
        else:
            self._answer(404, b"")

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def website(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A prefix of an HTTPS server that this process trusts."""
    authority = certificates.make_authority(tmp_path, "authority")
    certificate, key = certificates.make_certificate(authority, "website")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/in/"
    server.shutdown()
    server.server_close()


def test_over_https(website: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetched(website, [{"url": f"{website}a.jpg"}], ONLY) == [b"a picture"]
    assert "answers 302; redirects are not followed" in refused(website, f"{website}elsewhere.jpg")
    assert "answers 404" in refused(website, f"{website}b.jpg")
    assert "has more than 100 bytes" in refused(website, f"{website}large.jpg")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "CERTIFICATE_VERIFY_FAILED" in refused(website, f"{website}a.jpg", kind=NotReadyError)


def test_the_number_of_urls_and_what_is_none() -> None:
    assert "at most 64 URLs of images. Received: 65" in refused("s3://b/", *["s3://b/a.jpg"] * 65)
    assert "instances[0]: a URL is a string. Received: 5" in refused("s3://b/", 5)
    rows = [{"image": "text", "age": 1.0}]
    assert fetched("s3://b/", rows) is rows


def test_a_server_fetches_what_its_option_allows(
    bucket: str, publish: Publish, start: Callable[..., Server], exports: dict[str, pathlib.Path]
) -> None:
    publish("codec", exports["codec"])
    server = start("--image-urls", bucket).wait_until_ready()
    status, answer, _ = server.post("codec:predict", {"instances": [{"image": {"url": f"{bucket}a.jpg"}}]})
    assert status == 200
    assert base64.b64decode(answer["predictions"][0]["image_bytes"]["b64"]) == b"a picture\xff"
    status, answer, _ = server.post("codec:predict", {"instances": [{"image": {"url": "s3://pictures/out.jpg"}}]})
    assert status == 400
    assert answer["error"].startswith(f"instances[0].image: the server fetches images below {bucket}. Received: 's3://")


def test_without_the_option_nothing_is_fetched(server: Server) -> None:
    status, answer, _ = server.post("codec:predict", {"instances": [{"image": {"url": "s3://pictures/out.jpg"}}]})
    assert (status, "the server fetches images below no URL (--image-urls)" in answer["error"]) == (400, True)
