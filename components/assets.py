"""Pretrained vectors and weights: where a workload's code finds those that its workload.yaml declares.

Their hashes are a part of the digest of the workload's code, and so of every cache's key.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

from components import code_files
from spec import home
from spec.errors import InputError
from spec.workload import Asset

_GIVEN: ContextVar[Mapping[str, Asset]] = ContextVar("trainyard_assets", default={})  # noqa: B039 never changed


def asset_path(name: str) -> pathlib.Path:
    """Where an asset of workload.yaml lies, for use in features.py and model.py.

    Example:
        weights = asset_path("squeezenet")

    Raises:
        InputError: it is not declared, not in the dataset cache, or another content than is declared.
    """
    declared = _GIVEN.get()
    if name not in declared:
        known = ", ".join(declared) or "none"
        raise InputError(f"assets: workload.yaml declares no {name!r}. Declared: {known}. Add its file and sha256.")
    path = location(declared[name])
    if not path.is_file():
        raise InputError(f"asset {name}: {path} is not there. Put it there, or declare its url.")
    if (received := code_files.sha256(path)) != declared[name].sha256:
        raise InputError(
            f"asset {name}: {path}: SHA-256 {declared[name].sha256} expected. Received: {received}. Replace the file."
        )
    return path


def location(asset: Asset) -> pathlib.Path:
    """Where an asset lies in this machine's dataset cache, if it does."""
    return home.datasets_cache() / asset.file


@contextlib.contextmanager
def given(assets: Mapping[str, Asset]) -> Iterator[None]:
    """While it lasts, `asset_path` finds these."""
    before = _GIVEN.set(assets)
    try:
        yield
    finally:
        _GIVEN.reset(before)


def added_to(digest: str, assets: Mapping[str, Asset]) -> str:
    """A digest of code, followed by the assets that the code may read."""
    return " ".join([digest, *(f"{name}={one.file}@{one.sha256}" for name, one in sorted(assets.items()))])


def named_in(digest: str) -> dict[str, Asset]:
    """The assets that `added_to` wrote down."""
    found = {}
    for text in digest.split(" ")[1:]:
        name, _, place = text.partition("=")
        file, _, sha256 = place.partition("@")
        found[name] = Asset(file=file, sha256=sha256)
    return found
