"""The requests that go to Google's and Azure's stores; what they answer was looked at with fake-gcs-server and Azurite."""

from __future__ import annotations

from typing import Any

import pytest

from storage import Conflict, _conditional


class Client:
    """Stands in for gcsfs or adlfs: keeps what it was asked, and refuses where told so."""

    _location = "https://storage.googleapis.com"

    def __init__(self, refusal: Exception | None = None) -> None:
        self.asked: dict[str, Any] = {}
        self._refusal = refusal

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call(self, method: str, url: str, **asked: Any) -> dict[str, Any]:
        return self._answer({"method": method, "url": url, **asked})

    def pipe_file(self, path: str, data: bytes, **asked: Any) -> dict[str, Any]:
        return self._answer({"path": path, "data": data, **asked})

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked = asked
        if self._refusal:
            raise self._refusal
        return {"generation": "8", "etag": '"0x8"'}


@pytest.mark.parametrize(("version", "sent"), [(None, "0"), ("7", "7")])
def test_google_compares_generations(version: str | None, sent: str) -> None:
    client = Client()
    assert _conditional._GoogleCloudStorage(client).write("bucket/a/one", b"data", version) == "8"
    assert client.asked["ifGenerationMatch"] == sent
    assert client.asked["url"] == "https://storage.googleapis.com/upload/storage/v1/b/bucket/o"
    assert b'{"name": "a/one"}' in client.asked["data"] and b"\r\n\r\ndata\r\n--" in client.asked["data"]
    with pytest.raises(Conflict):
        _conditional._GoogleCloudStorage(Client(FileExistsError("412"))).write("bucket/a/one", b"data", version)


def test_azure_compares_etags() -> None:
    azure = pytest.importorskip("azure.core")
    client = Client()
    store = _conditional._Azure(client)
    assert store.write("bucket/one", b"data", None) == '"0x8"' and client.asked["overwrite"] is False
    assert store.write("bucket/one", b"data", '"0x7"') == '"0x8"'
    assert client.asked["etag"] == '"0x7"' and client.asked["match_condition"] is azure.MatchConditions.IfNotModified
    changed = azure.exceptions.ResourceModifiedError("412")
    with pytest.raises(Conflict):
        _conditional._Azure(Client(changed)).write("bucket/one", b"data", '"0x7"')
