"""Requests to try a release with: recent ones from the model server's record, else its golden requests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.deployment.errors import DeploymentRefused
from spec import environment as env

if TYPE_CHECKING:
    from model_store import ModelStore

GOLDEN_REQUESTS = "assets.extra/golden_requests.json"
_DESCRIPTION = "assets.extra/trainyard.json"
_FEWEST = 8
_MOST = 64
_MOST_BYTES = 4 << 20


def golden_requests(store: ModelStore, model: str, version: int) -> list[Any]:
    """The rows that the Pusher put into the release.

    Raises:
        DeploymentRefused: the release has none, so nobody could say whether it answers well.
    """
    if GOLDEN_REQUESTS not in store.release(model, version).files:
        raise DeploymentRefused(
            f"release {model}/{version} has no {GOLDEN_REQUESTS}: nothing to ask it. "
            "Publish it with the pipeline, or promote it by hand: trainyard release promote"
        )
    instances = json.loads(_read(store, model, version, GOLDEN_REQUESTS))["instances"]
    if not instances:
        raise DeploymentRefused(f"release {model}/{version}: {GOLDEN_REQUESTS} holds no instances")
    return list(instances[:_MOST])


def recent_requests(store: ModelStore, model: str, version: int) -> list[Any]:
    """The newest recorded rows that the release can answer, newest first; empty if fewer than eight are recorded.

    A row lacks the columns that are not recorded; it is used if the release does not need them.
    """
    folder = os.environ.get(env.RECORD)
    if not folder or _DESCRIPTION not in store.release(model, version).files:
        return []
    features = json.loads(_read(store, model, version, _DESCRIPTION)).get("features", {})
    needed = {name for name, said in features.items() if not said.get("nullable")}
    rows: list[Any] = []
    for columns in _newest(Path(folder) / model):
        if needed <= columns.keys():
            rows.append({features[n].get("input") or n: value for n, value in columns.items() if n in features})
        if len(rows) == _MOST:
            break
    return rows if len(rows) >= _FEWEST else []


def _newest(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The recorded columns, newest first. A line that is still being written is skipped."""
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _MOST_BYTES))
                lines = file.read(_MOST_BYTES).splitlines()
        except (FileNotFoundError, IsADirectoryError):
            continue  # the server has just deleted it, or it is not one of its files
        for line in reversed(lines):
            try:
                yield json.loads(line)["columns"]
            except (ValueError, KeyError, TypeError):
                continue


def _read(store: ModelStore, model: str, version: int, name: str) -> bytes:
    return store.read(store.release(model, version), name)
