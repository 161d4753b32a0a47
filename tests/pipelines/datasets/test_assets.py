"""A workload's assets come into the dataset cache once, and are checked each time."""

from __future__ import annotations

import hashlib
import pathlib

import pytest

from pipelines import datasets
from spec.errors import InputError
from spec.workload import Asset


@pytest.fixture
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("TRAINYARD_DATASETS", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _asset(url: str = "", content: bytes = b"weights") -> Asset:
    return Asset(file="net/weights.h5", sha256=hashlib.sha256(content).hexdigest(), url=url)


def test_it_is_downloaded_once(served: tuple[pathlib.Path, str], cache: pathlib.Path) -> None:
    folder, url = served
    (folder / "any").write_bytes(b"weights")
    for _ in range(2):
        assert datasets.fetch_asset(_asset(url + "any")) == cache / "net" / "weights.h5"
        (folder / "any").unlink(missing_ok=True)
    assert [path.name for path in (cache / "net").iterdir()] == ["weights.h5"]


def test_another_content_is_not_kept(served: tuple[pathlib.Path, str], cache: pathlib.Path) -> None:
    folder, url = served
    (folder / "any").write_bytes(b"other")
    with pytest.raises(InputError, match=r"SHA-256 .* expected, as workload\.yaml declares\. Received: d9298a10"):
        datasets.fetch_asset(_asset(url + "any"))
    assert not list((cache / "net").iterdir())


def test_without_an_address_it_is_put_there(cache: pathlib.Path) -> None:
    with pytest.raises(InputError, match=rf"assets: net/weights\.h5 is not in {cache} \(TRAINYARD_DATASETS\)\. Put it"):
        datasets.fetch_asset(_asset())
