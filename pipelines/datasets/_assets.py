"""Files that a workload declares (`assets` of workload.yaml), in the dataset cache."""

from __future__ import annotations

import hashlib
import pathlib

from pipelines.datasets._download import download
from spec import home
from spec.errors import InputError
from spec.workload import Asset


def fetch_asset(asset: Asset) -> pathlib.Path:
    """The verified file, from the cache or, the first time, from its address.

    Raises:
        InputError: it is another content, or is missing and cannot be downloaded.
    """
    path = home.datasets_cache() / asset.file
    if path.is_file():
        _check(asset, path)
    elif asset.url:
        download(asset.url, path, lambda unfinished: _check(asset, unfinished))
    else:
        raise InputError(f"assets: {asset.file} is not in {home.datasets_cache()} (TRAINYARD_DATASETS). Put it there.")
    return path


def _check(asset: Asset, path: pathlib.Path) -> None:
    with path.open("rb") as file:
        received = hashlib.file_digest(file, "sha256").hexdigest()
    if received != asset.sha256:
        raise InputError(
            f"{path}: SHA-256 {asset.sha256} expected, as workload.yaml declares. Received: {received}. Replace the file."
        )
