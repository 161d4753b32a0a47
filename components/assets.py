"""Pretrained vectors and weights: where a workload's code finds those that its workload.yaml declares.

Their hashes are a part of the digest of the workload's code, and so of every cache's key. A pod has an empty dataset cache:
it fetches them by their hashes from where `stage` has put them.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

import storage
from components import code_files
from spec import environment as env
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


def fetched(asset: Asset) -> pathlib.Path:
    """`location`, after a pod whose cache lacks the file has fetched it.

    Raises:
        InputError: it is not where it was to be staged, is another content there, or access is refused.
    """
    path, place = location(asset), os.environ.get(env.ASSETS, "")
    if not place or path.is_file():
        return path
    staged, unfinished = f"{place}/{asset.sha256}", path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with storage.store_trouble(place):
            storage.open_files(place).copy_out(asset.sha256, unfinished)
        if (received := code_files.sha256(unfinished)) != asset.sha256:
            raise InputError(
                f"asset {asset.file}: {staged} holds another content. Received: SHA-256 {received}. Remove it, and stage it again."
            )
        unfinished.replace(path)
    except FileNotFoundError:
        raise InputError(
            f"asset {asset.file}: {staged} is not there. `trainyard submit`, or `trainyard compile --stage-assets`, puts it there."
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def is_staged(asset: Asset, place: str) -> bool:
    """Whether a folder or object store has a file of the asset's hash."""
    with storage.store_trouble(place):
        return storage.open_files(place).exists(asset.sha256)


def stage(asset: Asset, place: str) -> None:
    """Copies an asset out of this machine's cache to a folder or object store, where its hash is its name."""
    with storage.store_trouble(place):
        storage.open_files(place).copy_in(location(asset), asset.sha256)


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
